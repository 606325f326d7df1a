/* Interfaces, by ioctl: netdevice(7), and for labels of addresses ip-address(8). */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <net/route.h>
#include <netinet/ether.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bw.h"

/* One ioctl(2) on a socket of its own, which leaves errno as the call did. */
static int call(unsigned long request, void *argument) {
  int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  int result = ioctl(fd, request, argument), error = errno;
  close(fd);
  errno = error;
  return result;
}

/* Puts the name of an interface, or the label of one of its addresses, into a request. A longer one would be another's. */
static int named(JSContext *ctx, JSValueConst value, struct ifreq *request) {
  size_t length;
  const char *name = JS_ToCStringLen(ctx, &length, value);
  if (!name) return -1;
  memset(request, 0, sizeof *request);
  int good = length > 0 && length < IFNAMSIZ;
  if (good) memcpy(request->ifr_name, name, length);
  else errno = ENAMETOOLONG, bw_fail(ctx, "interface", name);
  JS_FreeCString(ctx, name);
  return good ? 0 : -1;
}

static int set_up(struct ifreq request, int up) {
  if (call(SIOCGIFFLAGS, &request) < 0) return -1;
  request.ifr_flags = (short)(up ? request.ifr_flags | IFF_UP : request.ifr_flags & ~IFF_UP);
  return call(SIOCSIFFLAGS, &request);
}

void bw_lower_adapters(void) {
  struct if_nameindex *all = if_nameindex();
  for (struct if_nameindex *each = all; each && each->if_name; each++) {
    struct ifreq request = {0};
    memcpy(request.ifr_name, each->if_name, strnlen(each->if_name, IFNAMSIZ - 1));
    if (call(SIOCGIFFLAGS, &request) == 0 && !(request.ifr_flags & IFF_LOOPBACK)) set_up(request, 0);
  }
  if (all) if_freenameindex(all);
}

static void set_address(struct sockaddr *field, struct in_addr address) {
  struct sockaddr_in whole = {.sin_family = AF_INET, .sin_addr = address};
  memcpy(field, &whole, sizeof whole);
}

/* configureInterface(name, address, mask): these, then up. */
static JSValue configure_interface(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  struct ifreq request;
  struct in_addr address, mask;
  if (named(ctx, argv[0], &request) || bw_ipv4(ctx, argv[1], &address) || bw_ipv4(ctx, argv[2], &mask)) return JS_EXCEPTION;
  const char *failed = NULL;
  set_address(&request.ifr_addr, address);
  if (call(SIOCSIFADDR, &request)) failed = "set address of";
  set_address(&request.ifr_netmask, mask);
  if (!failed && call(SIOCSIFNETMASK, &request)) failed = "set netmask of";
  if (!failed && set_up(request, 1)) failed = "bring up";
  return failed ? bw_fail(ctx, failed, request.ifr_name) : JS_UNDEFINED;
}

static JSValue interface_address(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  struct ifreq request;
  struct sockaddr_in address;
  if (named(ctx, argv[0], &request)) return JS_EXCEPTION;
  if (call(SIOCGIFADDR, &request)) return JS_NULL;
  memcpy(&address, &request.ifr_addr, sizeof address);
  return JS_NewString(ctx, inet_ntoa(address.sin_addr));
}

/* setMac(name, address): down meanwhile where the driver says EBUSY; up again whatever came of it. */
static JSValue set_mac(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  struct ifreq request;
  struct ether_addr address;
  if (named(ctx, argv[0], &request)) return JS_EXCEPTION;
  const char *text = JS_ToCString(ctx, argv[1]);
  if (!text) return JS_EXCEPTION;
  int good = ether_aton_r(text, &address) != NULL;
  if (!good) errno = EINVAL, bw_fail(ctx, "hardware address", text);
  JS_FreeCString(ctx, text);
  if (!good) return JS_EXCEPTION;
  request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
  memcpy(request.ifr_hwaddr.sa_data, &address, sizeof address);
  int failed = call(SIOCSIFHWADDR, &request);
  if (failed && errno == EBUSY) {
    failed = set_up(request, 0) || call(SIOCSIFHWADDR, &request);
    int error = failed ? errno : 0;
    if (set_up(request, 1)) {
      if (!failed) error = errno;
      failed = 1;
    }
    errno = error;
  }
  return failed ? bw_fail(ctx, "set hardware address of", request.ifr_name) : JS_UNDEFINED;
}

/* clearInterface(name): without its IPv4 address. dropLabel(label): without the address of that label, if there is one. */
static JSValue clear_interface(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  struct ifreq request;
  if (named(ctx, argv[0], &request)) return JS_EXCEPTION;
  set_address(&request.ifr_addr, (struct in_addr){INADDR_ANY});
  return call(SIOCSIFADDR, &request) ? bw_fail(ctx, "clear address of", request.ifr_name) : JS_UNDEFINED;
}

static JSValue drop_label(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  struct ifreq request;
  if (named(ctx, argv[0], &request)) return JS_EXCEPTION;
  /* Flags without IFF_UP: of a label that takes the address away, and leaves the interface as it is. */
  if (!strchr(request.ifr_name, ':')) errno = EINVAL;
  else if (call(SIOCSIFFLAGS, &request) == 0 || errno == EADDRNOTAVAIL) return JS_UNDEFINED;
  return bw_fail(ctx, "drop address", request.ifr_name);
}

/* The default route out of an interface. */
static struct rtentry default_route(struct ifreq *interface) {
  struct rtentry route = {.rt_flags = RTF_UP, .rt_dev = interface->ifr_name};
  set_address(&route.rt_dst, (struct in_addr){INADDR_ANY});
  set_address(&route.rt_genmask, (struct in_addr){INADDR_ANY});
  return route;
}

/* addDefaultRoute(gateway, name): one that is already there is no error. */
static JSValue add_default_route(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  struct ifreq request;
  struct in_addr gateway;
  if (bw_ipv4(ctx, argv[0], &gateway) || named(ctx, argv[1], &request)) return JS_EXCEPTION;
  struct rtentry route = default_route(&request);
  route.rt_flags |= RTF_GATEWAY;
  set_address(&route.rt_gateway, gateway);
  if (call(SIOCADDRT, &route) == 0 || errno == EEXIST) return JS_UNDEFINED;
  return bw_fail(ctx, "add default route through", inet_ntoa(gateway));
}

/* dropDefaultRoutes(name): those that lead out of this interface. */
static JSValue drop_default_routes(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  struct ifreq request;
  if (named(ctx, argv[0], &request)) return JS_EXCEPTION;
  struct rtentry route = default_route(&request);
  while (call(SIOCDELRT, &route) == 0) continue;
  return errno == ESRCH ? JS_UNDEFINED : bw_fail(ctx, "drop default route of", request.ifr_name);
}

/* announce(name, address): an ARP Announcement (RFC 5227 section 3), for who remembers another adapter at the address. */
static JSValue announce(JSContext *ctx, JSValueConst self, int argc, JSValueConst *argv) {
  struct ifreq request;
  struct in_addr address;
  if (named(ctx, argv[0], &request) || bw_ipv4(ctx, argv[1], &address)) return JS_EXCEPTION;
  struct __attribute__((packed)) {
    struct arphdr head;
    uint8_t sender_mac[ETH_ALEN], sender[4], target_mac[ETH_ALEN], target[4];
  } packet = {.head = {htons(ARPHRD_ETHER), htons(ETH_P_IP), ETH_ALEN, 4, htons(ARPOP_REQUEST)}};
  struct sockaddr_ll everybody = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ARP), .sll_halen = ETH_ALEN};
  int failed = call(SIOCGIFHWADDR, &request);
  memcpy(packet.sender_mac, request.ifr_hwaddr.sa_data, ETH_ALEN);
  memcpy(packet.sender, &address, sizeof address);
  memcpy(packet.target, &address, sizeof address);
  failed = failed || call(SIOCGIFINDEX, &request);
  everybody.sll_ifindex = request.ifr_ifindex;
  memset(everybody.sll_addr, 0xff, ETH_ALEN);
  int fd = failed ? -1 : socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ssize_t sent = fd < 0 ? -1 : sendto(fd, &packet, sizeof packet, 0, (struct sockaddr *)&everybody, sizeof everybody);
  JSValue result = sent < 0 ? bw_fail(ctx, "announce by", request.ifr_name) : JS_UNDEFINED;
  if (fd >= 0) close(fd);
  return result;
}

const JSCFunctionListEntry bw_interface_calls[] = {
    JS_CFUNC_DEF("configureInterface", 3, configure_interface),
    JS_CFUNC_DEF("interfaceAddress", 1, interface_address),
    JS_CFUNC_DEF("setMac", 2, set_mac),
    JS_CFUNC_DEF("clearInterface", 1, clear_interface),
    JS_CFUNC_DEF("dropLabel", 1, drop_label),
    JS_CFUNC_DEF("addDefaultRoute", 2, add_default_route),
    JS_CFUNC_DEF("dropDefaultRoutes", 1, drop_default_routes),
    JS_CFUNC_DEF("announce", 2, announce),
};
const int bw_interface_call_count = BW_COUNT(bw_interface_calls);
