/* The compiled modules (BUNDLE: the path of what bundle.ts packed them into), linked in as constant data. */
	.section .rodata
	.balign 16
	.global bundle_start
bundle_start:
	.incbin BUNDLE
	.section .note.GNU-stack, "", %progbits
