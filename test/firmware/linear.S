# A 32-bit tagged image's program: prints to the serial port whether it was called as Etherboot calls one, and returns.
        .code32
        .globl  _start
_start: movl    4(%esp), %eax                   # struct ebinfo
        movl    8(%esp), %ebx                   # the image's header
        movl    12(%esp), %ecx                  # the DHCP packet
        movl    $wrong, %esi
        cmpb    $1, (%eax)
        jne     print
        cmpl    $0x1b031336, (%ebx)
        jne     print
        cmpb    $2, (%ecx)                      # BOOTREPLY
        jne     print
        cmpl    $0x63538263, 236(%ecx)
        jne     print
        movl    $right, %esi
print:  movw    $0x3fd, %dx
1:      inb     %dx, %al
        testb   $0x20, %al                      # the transmitter is empty
        jz      1b
        lodsb
        movw    $0x3f8, %dx
        outb    %al, %dx
        testb   %al, %al
        jnz     print
        ret
wrong:  .asciz  "\r\nlinear: called wrongly\r\n"
right:  .asciz  "\r\nlinear: above 1 MiB, in 32 bits\r\n"
