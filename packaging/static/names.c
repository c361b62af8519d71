/* Part of the static binary alone. The C library would load what /etc/nsswitch.conf names (libnss_mdns, libnss_resolve, …) from the
 * machine into a program that holds another version of that library, and die of it, often with SIGFPE. So hosts are looked up in
 * /etc/hosts and by DNS, which is built in, whatever that file says. */
#include <nss.h>

__attribute__((constructor)) static void resolve_without_modules(void) {
    __nss_configure_lookup("hosts", "files dns");
}
