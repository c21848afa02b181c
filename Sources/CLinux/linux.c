// The shims live in the header.
