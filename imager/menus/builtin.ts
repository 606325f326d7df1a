/** The templates the imager brings along. An operator's file of the same name takes the place of each. */
import type { Menu } from './path.ts';
import type { TemplateSource } from './template.ts';

/**
 * iPXE runs autoexec.ipxe before it has asked for an address. The image's own script knows how its kind of image is started, and puts `bw_cmdline` before the image's arguments
 * (images/image.ts). `ip=` comes from the lease, whoever gave it.
 */
const IPXE = `#!ipxe
# {{ node.name }}: image {{ image.name }}, {{ boot.why }}
echo bootwright: menu {{ node.name }} image {{ image.name }}
isset \${netX/ip} || ifconf -c dhcp || goto failed
set bw_ip \${netX/ip}::\${netX/gateway}:\${netX/netmask}:\${netX/hostname:uristring}:eth0:off
set bw_cmdline {{ boot.args }} ip=\${bw_ip}
chain --timeout 3000 {{ image.urls["boot.ipxe"] }} || goto failed
:failed
echo bootwright: menu error image {{ image.name }} did not start
sleep 5
reboot
`;

/**
 * For an address the imager does not know (another server gave it): asks once more, by MAC. That name either is a
 * node's or is not found, so it never comes round again.
 */
export const IPXE_ASK_BY_MAC = `#!ipxe
isset \${netX/ip} || ifconf -c dhcp ||
chain --timeout 3000 \${netX/mac:hexhyp}/boot.ipxe || exit 1
`;

/**
 * Read by PXELINUX, and by U-Boot's \`pxe\` and \`sysboot\`. IPAPPEND 3 adds ip= and BOOTIF= from the lease. Paths have no
 * slash in front: both loaders put their own folder there, and the imager's tree takes it off again.
 */
const PXELINUX = `# {{ node.name }}: image {{ image.name }}, {{ boot.why }}
DEFAULT bootwright
PROMPT 0
TIMEOUT 1
LABEL bootwright
  MENU LABEL {{ image.name }}
  KERNEL images/{{ image.name }}/kernel
  INITRD images/{{ image.name }}/initrd
{%- if image.files.dtb %}
  FDT images/{{ image.name }}/dtb
{%- endif %}
  APPEND {{ image.args }} {{ boot.args }}
  IPAPPEND 3
`;

/** GRUB has no variable with the netmask of its lease, so ip= is what the configuration knows. */
const GRUB = `# {{ node.name | words }}: image {{ image.name | words }}
set default=0
set timeout=0
menuentry {{ image.name | quote }} {
  echo {{ node.name | append: ": loading " | append: image.name | quote }}
  linux (tftp,{{ imager.address }})/images/{{ image.name }}/kernel {{ image.args | words }} {{ boot.args | words }} ip={{ node.ip | default: "dhcp" }}
  initrd (tftp,{{ imager.address }})/images/{{ image.name }}/initrd
}
`;

/** On x86 U-Boot's own place for the initrd, 64 MiB, is where a kernel of today unpacks itself. */
const UBOOT = `echo bootwright: menu {{ node.name }} image {{ image.name }}
setenv bootargs "{{ image.args }} {{ boot.args }} ip=\${ipaddr}::\${gatewayip}:\${netmask}:\${hostname}:eth0:off"
tftpboot \${kernel_addr_r} {{ imager.address }}:images/{{ image.name }}/kernel || exit
{%- if image.files.dtb %}
tftpboot \${fdt_addr_r} {{ imager.address }}:images/{{ image.name }}/dtb || exit
setenv bw_fdt \${fdt_addr_r}
{%- else %}
setenv bw_fdt \${fdtcontroladdr}
{%- endif %}
{%- if image.arch == "amd64" %}
setenv ramdisk_addr_r 0x8000000
{%- endif %}
tftpboot \${ramdisk_addr_r} {{ imager.address }}:images/{{ image.name }}/initrd || exit
{%- if image.arch == "arm64" %}
booti \${kernel_addr_r} \${ramdisk_addr_r}:\${filesize} \${bw_fdt}
{%- else %}
zboot \${kernel_addr_r} 0 \${ramdisk_addr_r} \${filesize}
{%- endif %}
`;

/** Raspberry Pi: kernel, initrd and dtb are names in the folder this was loaded from. */
const CONFIG_TXT = `# {{ node.name }}: image {{ image.name }}, {{ boot.why }}
[all]
arm_64bit=1
enable_uart=1
kernel=kernel
initramfs initrd followkernel
{%- if image.files.dtb %}
device_tree=dtb
{%- endif %}
`;

const CMDLINE_TXT = `{{ image.args }} {{ boot.args }} ip={{ node.ip | default: "dhcp" }}
`;

const TEXTS: Record<Exclude<Menu, 'autoexec.ipxe'>, string> = {
  'boot.ipxe': IPXE,
  'pxelinux.cfg/default': PXELINUX,
  'extlinux/extlinux.conf': PXELINUX,
  'grub/grub.cfg': GRUB,
  'boot.scr.uimg': UBOOT,
  'config.txt': CONFIG_TXT,
  'cmdline.txt': CMDLINE_TXT,
};

/** By the path each is served as. */
export const BUILT_IN: ReadonlyMap<string, TemplateSource> = new Map(
  Object.entries(TEXTS).map(([path, text]) => [path, { place: `built-in ${path}`, text }]),
);
