/* The compiled TypeScript (BUNDLE: its path), linked in as constant data. */
	.section .rodata
	.balign 16
	.global bundle_start, bundle_end
bundle_start:
	.incbin BUNDLE
bundle_end:
	.section .note.GNU-stack, "", %progbits
