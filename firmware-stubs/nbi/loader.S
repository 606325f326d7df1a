# nbi.0: a PXE network boot program that loads a tagged image (Net Boot Image Proposal 0.3, and Etherboot's 32-bit
# programs) and calls it. For PXE ROMs and for iPXE builds without the NBI format, Debian's among them. README.md says
# what it expects and prints.
#
# Memory: this program, its buffers and its stack keep to 0x7c00..0xffff; images have 0x10000 up to what INT 12h calls
# the end of base memory (the PXE stack lies above that), and what E820 calls usable above 1 MiB. All segment registers
# are 0 throughout, but for a 32-bit program. Names of PXE calls and structures: Preboot Execution Environment Specification 2.1.

        .code16
        .set    HEADER, 0x9800                  # the image's first 512 bytes
        .set    RECORD, 0x9a00                  # DHCP packet; stays for the image
        .set    RECORD_BYTES, 1260              # BOOTPLAYER
        .set    AREA, 0xa000                    # one E820 descriptor
        .set    STACK_TOP, 0xfff0
        .set    IMAGE_FLOOR, 0x10000

        .set    DATA, 0x08                      # selectors of the descriptors at gdt
        .set    CODE32, 0x10
        .set    CODE16, 0x18
        .set    DATA16, 0x20

        .set    PXENV_UNDI_SHUTDOWN, 0x05
        .set    PXENV_STOP_UNDI, 0x15
        .set    PXENV_TFTP_READ_FILE, 0x23
        .set    PXENV_UNLOAD_STACK, 0x70
        .set    PXENV_GET_CACHED_INFO, 0x71
        .set    DHCP_ACK, 2
        .set    BOOT_REPLY, 3

        .globl  _start
_start: ljmp    $0, $begin

# PXENV_TFTP_READ_FILE's parameters. The imager writes the file's name, 128 bytes from offset 8 of this program, and its
# size, 4 bytes at 136. A whole file at once and not block by block: of iPXE's PXE interface a block that comes twice
# ends the reading of single ones.
        .org    6
file:   .word   0                               # Status
name:   .fill   128
size:   .long   0                               # of the buffer, then of the file
buffer: .long   0
server: .long   0
        .long   0                               # gateway: the PXE stack's own routing
        .long   0, 0x45000000                   # no multicast; server's port 69
        .word   3, 0                            # seconds to wait for the first packet

cached: .word   0                               # Status, PacketType, BufferSize, Buffer, BufferLimit
type:   .word   0
        .word   0
        .word   RECORD, 0
        .word   0

status: .fill   12                              # for calls without parameters that matter

begin:  movw    %sp, %bp
        ldsw    4(%bp), %si                     # the !PXE structure
        movw    %ds, %dx
        movw    %cs, %ax
        movw    %ss, %cx
        movw    %ax, %ds
        movw    %sp, caller
        movw    %cx, caller + 2
        movw    %ax, %ss
        movw    $STACK_TOP, %sp
        movw    %dx, %es
        cmpl    $0x45585021, %es:(%si)          # "!PXE"
        movl    %es:0x10(%si), %ecx             # EntryPointSP
        movl    %ecx, entry
        movw    %ax, %es
        cld
        sti
        movw    $no_pxe, %si
        jne     fail
        movw    $announce, %si
        call    print
        movw    $name, %si
        call    print

# The server that sent this program, and the record for the image: what a boot server said goes before DHCP's ACK.
        movw    $BOOT_REPLY, %ax
        call    record
        movl    RECORD + 20, %eax               # siaddr
        movl    %eax, server
        movw    $DHCP_ACK, %ax
        call    record
        cmpl    $0, server
        jne     1f
        movl    RECORD + 20, %eax
        movl    %eax, server
1:      call    a20
        call    memory

# The file goes to the end of memory, which for the image ends there.
        movw    $no_room, %si
        movl    top, %eax
        subl    size, %eax
        jb      fail
        andb    $0xf0, %al
        movl    %eax, top
        movl    %eax, buffer
        movl    %eax, next
        movl    size, %ecx
        movl    %ecx, left
        movw    $file, %di
        movw    $PXENV_TFTP_READ_FILE, %bx
        call    pxe
        movw    $no_file, %si
        jnz     fail
        movl    size, %ecx
        movw    $no_more, %si
        cmpl    left, %ecx
        jne     fail
        movl    $HEADER, %edi
        movl    $512, %ecx
        call    fetch
        movw    $no_image, %si
        cmpl    $0x1b031336, HEADER
        jne     fail

        movzwl  HEADER + 10, %edi               # location
        shll    $4, %edi
        movzwl  HEADER + 8, %eax
        addl    %eax, %edi
        movl    %edi, location
        movl    $512, %ecx
        call    check
        movl    %edi, start
        leal    512(%edi), %eax
        movl    %eax, end
        movl    $HEADER, %esi
        call    copy

# One segment record after the other; their data follow in the same order.
        movw    $HEADER, %bx
segment:
        movb    (%bx), %al                      # length of header or record in 4 bytes, of its vendor data in 4 bytes
        cmpw    $HEADER, %bx
        jne     1f
        movb    4(%bx), %al
1:      movb    %al, %ah
        shrb    $4, %ah
        andb    $15, %al
        addb    %ah, %al
        movzbw  %al, %ax
        shlw    $2, %ax
        addw    %ax, %bx
        movw    $no_image, %si
        cmpw    $4, %ax
        jb      fail
        cmpw    $HEADER + 512 - 16, %bx
        ja      fail
        movl    4(%bx), %edi                    # load address
        movb    3(%bx), %al
        andb    $3, %al
        jz      3f
        movl    end, %edx
        cmpb    $1, %al                         # after the segment before
        je      2f
        negl    %edi
        movl    top, %edx
        cmpb    $2, %al                         # below the end of memory
        je      2f
        movl    start, %edx                     # below the segment before
2:      addl    %edx, %edi
3:      movl    12(%bx), %ecx                   # memory length
        cmpl    8(%bx), %ecx
        jb      fail
        call    check
        movl    %edi, start
        addl    %edi, %ecx
        movl    %ecx, end
        movl    8(%bx), %ecx                    # image length
        call    fetch
        movl    end, %ecx
        subl    %edi, %ecx                      # the rest of the memory is zeroes
        call    flat
        xorb    %al, %al
        addr32 rep stosb
        testb   $4, 3(%bx)                      # the last one
        jz      segment

        testb   $1, HEADER + 5                  # bit 8: the image may return, and may want the PXE stack
        jnz     run
        movw    $PXENV_UNDI_SHUTDOWN, %bx
        call    simple
        movw    $PXENV_UNLOAD_STACK, %bx
        call    simple
        movw    $PXENV_STOP_UNDI, %bx
        call    simple
run:    movw    $starting, %si
        call    print
        testb   $0x80, HEADER + 7               # bit 31
        jnz     run32
        pushw   $0
        pushw   $RECORD
        pushl   HEADER + 8
        lcall   *HEADER + 12
back:   xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    $returned, %si
        jmp     fail

# A 32-bit program, as Etherboot calls it (xstart32): protected mode without paging, all segments flat, and on the stack
# what loaded it, the image's header and the DHCP packet, by linear addresses.
run32:  cli
        lgdtl   gdtr
        movl    %cr0, %eax
        orb     $1, %al
        movl    %eax, %cr0
        ljmpl   $CODE32, $1f
        .code32
1:      movw    $DATA, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %fs
        movw    %ax, %gs
        movw    %ax, %ss
        movl    $STACK_TOP, %esp
        pushl   $RECORD
        pushl   location
        pushl   $info
        call    *HEADER + 12
        cli
        ljmpl   $CODE16, $2f
        .code16
2:      movw    $DATA16, %ax                    # the limits of real mode
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %fs
        movw    %ax, %gs
        movw    %ax, %ss
        movl    %cr0, %eax
        andb    $0xfe, %al
        movl    %eax, %cr0
        ljmp    $0, $3f
3:      xorw    %ax, %ax
        movw    %ax, %fs
        movw    %ax, %gs
        movw    %ax, %ss
        movl    $STACK_TOP, %esp
        cld
        sti
        jmp     back

fail:   call    print                           # and back to who started this program, with a status other than 0
        movw    $newline, %si
        call    print
        lssw    caller, %sp
        movw    $1, %ax
        lret

# The file's next ECX bytes to EDI. Gives EDI behind them.
fetch:  movw    $no_more, %si
        subl    %ecx, left
        jb      fail
        movl    next, %esi
        addl    %ecx, next
# ECX bytes from ESI to EDI, anywhere below 4 GiB; gives EDI behind them.
copy:   call    flat
        addr32 rep movsb
        ret

# DS and ES with base 0 and a limit of 4 GiB: BIOS and PXE calls take such limits away.
flat:   pushl   %eax
        pushw   %bx
        pushfw
        cli
        lgdtl   gdtr
        movl    %cr0, %eax
        orb     $1, %al
        movl    %eax, %cr0
        movw    $DATA, %bx
        movw    %bx, %ds
        movw    %bx, %es
        andb    $0xfe, %al
        movl    %eax, %cr0
        xorw    %bx, %bx
        movw    %bx, %ds
        movw    %bx, %es
        popfw
        popw    %bx
        popl    %eax
        ret

# Goes on where EDI .. EDI+ECX is memory for images: base memory above this program, or one usable area of E820. Of no
# bytes it does not matter where they are.
check:  testl   %ecx, %ecx
        jz      7f
        pushal
        movl    %edi, %esi
        addl    %ecx, %esi
        jc      1f
        cmpl    $IMAGE_FLOOR, %edi
        jb      1f
        int     $0x12
        movzwl  %ax, %eax
        shll    $10, %eax
        cmpl    %eax, %esi
        jbe     9f
        cmpl    $0x100000, %edi
        jb      1f
        cmpl    top, %esi                       # the file lies there
        ja      1f
        xorl    %ebx, %ebx
2:      pushl   %esi
        pushl   %edi
        call    area
        popl    %edi
        popl    %esi
        jc      1f
        cmpl    $0, AREA + 4
        jne     3f
        cmpl    AREA, %edi
        jb      3f
        movl    AREA, %eax
        movl    AREA + 12, %edx
        addl    AREA + 8, %eax
        adcl    $0, %edx
        jnz     9f
        cmpl    %eax, %esi
        jbe     9f
3:      testl   %ebx, %ebx
        jnz     2b
1:      popal
        movw    $no_room, %si
        jmp     fail
9:      popal
7:      ret

# The next usable area to AREA; EBX as INT 15h has it. Carry: there is none.
area:   movl    $0xe820, %eax
        movl    $0x534d4150, %edx
        movl    $20, %ecx
        movw    $AREA, %di
        int     $0x15
        jc      9f
        cmpl    $0x534d4150, %eax
        stc
        jne     9f
        cmpl    $1, AREA + 16
        je      8f
        testl   %ebx, %ebx
        jnz     area
        stc
        ret
8:      clc
9:      ret

# The end of the memory that begins at 1 MiB.
memory: xorl    %ebx, %ebx
1:      call    area
        jc      9f
        movl    AREA, %eax
        cmpl    $0x100000, %eax
        jne     2f
        addl    AREA + 8, %eax
        movl    %eax, top
        ret
2:      testl   %ebx, %ebx
        jnz     1b
9:      ret

# Line 20 of the address bus is on, or nothing above 1 MiB can be written.
a20:    movw    $0x2401, %ax
        int     $0x15
        call    flat
        movl    $probe, %esi
        movb    $2, %cl
1:      incl    (%si)
        movl    (%si), %eax
        cmpl    %eax, %ds:0x100000(%esi)
        jne     9f
        decb    %cl
        jnz     1b
        movw    $no_a20, %si
        jmp     fail
9:      ret

# AX = packet type: the cached packet to RECORD.
record: movw    %ax, type
        movw    $RECORD_BYTES, type + 2
        movw    $cached, %di
        movw    $PXENV_GET_CACHED_INFO, %bx
        call    pxe
        movw    $no_record, %si
        jnz     fail
        ret

simple: movw    $status, %di

# BX = call, DI = its parameters. Not zero: it failed.
pxe:    pushw   $0
        pushw   %di
        pushw   %bx
        lcall   *entry
        addw    $6, %sp
        cld
        xorw    %bx, %bx
        movw    %bx, %ds
        movw    %bx, %es
        testw   %ax, %ax
        ret

print:  lodsb
        testb   %al, %al
        jz      9f
        pushw   %si
        movb    $0x0e, %ah
        movw    $7, %bx
        int     $0x10
        popw    %si
        jmp     print
9:      ret

announce:  .asciz "nbi: loading "
starting:  .asciz "\r\nnbi: starting the image\r\n"
returned:  .asciz "nbi: the image returned"
no_pxe:    .asciz "nbi: no !PXE structure"
no_record: .asciz "\r\nnbi: the PXE stack has no DHCP packet"
no_a20:    .asciz "\r\nnbi: A20 cannot be switched on"
no_file:   .asciz "\r\nnbi: TFTP gives no such file"
no_more:   .asciz "\r\nnbi: the file has not as many bytes as it should"
no_image:  .asciz "\r\nnbi: not a tagged image"
no_room:   .asciz "\r\nnbi: a segment lies where this machine has no memory for it"
newline:   .asciz "\r\n"

        .balign 8
gdt:    .quad   0
        .quad   0x00cf93000000ffff              # data, base 0, limit 4 GiB
        .quad   0x00cf9b000000ffff              # 32-bit code, the same
        .quad   0x00009b000000ffff              # 16-bit code, base 0, limit 64 KiB
        .quad   0x000093000000ffff              # data, the same
gdtr:   .word   gdtr - gdt - 1
        .long   gdt

        .balign 4
entry:  .long   0                               # far pointers: the PXE stack, the caller's stack
caller: .long   0
info:   .byte   1, 0                            # struct ebinfo: version, flags
        .word   0
location: .long 0                               # of the header
start:  .long   0                               # of the segment before
end:    .long   0
top:    .long   0                               # the end of the memory that begins at 1 MiB
probe:  .long   0
next:   .long   0                               # of the file: where its unread bytes are, and how many
left:   .long   0
