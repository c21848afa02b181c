// All shims are in the header; this file gives the target something to compile.
#include "CLinux.h"
