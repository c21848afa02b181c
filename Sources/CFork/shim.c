// The header is for all; `fork.c` is no part of any program of ours. This file gives the target something to compile.
#include "CFork.h"
