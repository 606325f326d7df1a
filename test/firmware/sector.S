# A boot sector: prints the text of the second sector of its disk, read through INT 13h; without a disk, the text that
# was loaded with it.
        .code16
        .globl  _start
_start: xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    $0x0201, %ax            # read one sector: cylinder 0, head 0, sector 2
        movw    $0x0002, %cx
        movb    $0, %dh                 # DL is the drive it was booted from
        movw    $0x8000, %bx
        int     $0x13
        movw    $0x8000, %si
        jnc     1f
        movw    $none, %si
        call    print
        movw    $0x7e00, %si
1:      call    print
2:      hlt
        jmp     2b
print:  lodsb
        testb   %al, %al
        jz      3f
        movb    $0x0e, %ah
        int     $0x10
        jmp     print
3:      ret
none:   .asciz  "no disk, but "
        .org    510
        .word   0xaa55
        .asciz  "the second sector\r\n.\r\n"
        .org    1024
