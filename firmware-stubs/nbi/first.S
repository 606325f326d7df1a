# First stage of a Linux tagged image: what the net boot process calls once all is loaded. It appends DHCP option 129,
# where the BOOTP record has one, to the command line, and starts the kernel's own real-mode code, whose header the
# builder has filled in (imager/images/nbi/linux.ts, which also says where everything lies).
#
# Called far in real mode; above the return address lie a far pointer to the image's header and one to the BOOTP record.
# Runs at any offset of its segment; addresses nothing of its own.

        .code16
        .set    SETUP_SEGMENT, 0x1000           # boot sector and setup code of the kernel
        .set    STACK_TOP, 0xe000               # of that segment: the end of the kernel's heap
        .set    COMMAND_LINE_SEGMENT, 0x1e00
        .set    COMMAND_LINE_BYTES, 2048
        .set    RECORD_BYTES, 1260              # BOOTPLAYER of PXE 2.1: 236 fixed ones and 1024 of options

        .globl  _start
_start: cld
        movw    %sp, %bp
        ldsw    8(%bp), %si                     # the BOOTP record
        leaw    RECORD_BYTES(%si), %dx
        cmpl    $0x63538263, 236(%si)           # magic cookie, RFC 2132 section 2
        jne     boot
        addw    $240, %si
option: cmpw    %dx, %si
        jae     boot
        lodsb
        testb   %al, %al                        # pad
        je      option
        cmpb    $0xff, %al                      # end
        je      boot
        movzbw  (%si), %cx
        incw    %si
        cmpb    $129, %al
        je      append
        addw    %cx, %si
        jmp     option
append: movw    $COMMAND_LINE_SEGMENT, %ax
        movw    %ax, %es
        pushw   %cx
        movw    $COMMAND_LINE_BYTES, %cx
        xorw    %di, %di
        movb    $0, %al
        repne scasb
        popw    %cx
        movb    $' ', %es:-1(%di)               # over the old NUL; arguments and option fit: see linux.ts
        rep movsb
        stosb
boot:   cli
        movw    $SETUP_SEGMENT, %ax             # Documentation/x86/boot.rst, "Running the Kernel"
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %fs
        movw    %ax, %gs
        movw    %ax, %ss
        movw    $STACK_TOP, %sp
        ljmp    $SETUP_SEGMENT + 0x20, $0
