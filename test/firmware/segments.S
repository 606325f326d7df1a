# A tagged image's program: prints the texts in its other segments and whether it was given the image's header, and
# returns. nbi.test.ts says where they lie.
        .code16
        .globl  _start
_start: movw    %sp, %bp
        movw    $0x2000, %ax
        movw    %ax, %ds
        movw    $0x210, %si             # 0x20210: 16 bytes behind this segment, which has 512
        call    print
        movw    $0x1f00, %ax
        movw    %ax, %ds
        movw    $0x210, %si             # 0x1f210: 4 KiB below the one before
        call    print
        ldsw    4(%bp), %si
        cmpl    $0x1b031336, (%si)
        jne     1f
        movw    $0x2000, %ax
        movw    %ax, %ds
        movw    $header, %si
        call    print
1:      lret
print:  lodsb
        testb   %al, %al
        jz      2f
        movb    $0x0e, %ah
        int     $0x10
        jmp     print
2:      ret
header: .asciz  "header\r\n"
        .org    512
