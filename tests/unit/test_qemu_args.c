/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/qemu_args.h"
#include "vmm/tsc.h"

static struct hull_vm_config basic(void)
{
	return (struct hull_vm_config){
		.vmm_path = "/usr/bin/qemu-system-x86_64", .kernel_path = "/k", .initrd_path = "/i",
		.kernel_cmdline = "quiet", .accel = HULL_ACCEL_TCG,
		.memory_bytes = 256ULL << 20, .memory_max_bytes = 256ULL << 20, .vcpus = 1, .vcpus_max = 1, .share_fd = -1,
	};
}

/* All arguments, each on a line of its own. */
static char *args(const struct hull_vm_config *config, const struct hull_qemu_host *host)
{
	static const struct hull_qemu_host plain;
	const struct hull_qemu_fds fds = {
		.qmp = 11, .agent = 12, .console = 13, .serial = config->debug_console ? 14 : -1,
		.share = config->share_fd,
	};
	struct hull_error err = HULL_ERROR_INIT;
	struct hull_strv argv = { 0 };
	static char text[16384];

	if (hull_qemu_args(config, host ? host : &plain, &fds, &argv, &err) < 0)
		fail_msg("%s", err.message);
	size_t used = (size_t)snprintf(text, sizeof(text), "\n");
	for (size_t i = 0; i < argv.n && used < sizeof(text); i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s\n", argv.v[i]);
	assert_true(used < sizeof(text));
	hull_strv_clear(&argv);
	return text;
}

static void has(const char *text, const char *line)
{
	if (!strstr(text, line)) {
		fprintf(stderr, "%s", text);
		fail_msg("'%s' is not in it", line);
	}
}

static void has_not(const char *text, const char *line)
{
	if (strstr(text, line)) {
		fprintf(stderr, "%s", text);
		fail_msg("'%s' is in it", line);
	}
}

static void test_basic(void **state)
{
	struct hull_vm_config config = basic();
	const char *text = args(&config, NULL);
	has(text, "\n/usr/bin/qemu-system-x86_64\n-nodefaults\n-no-user-config\n");
	has(text, "\n-machine\nq35,memory-backend=mem,");
	has(text, "\n-accel\ntcg,thread=multi,tb-size=");
	config.kernel_rewrites_itself = true;
	has(args(&config, NULL), "\n-accel\ntcg,thread=multi,tb-size=");
	config.vcpus_max = 2;
	has(args(&config, NULL), "\n-accel\ntcg,thread=single,tb-size=");
	config = basic();
	text = args(&config, NULL);
	has(text, "\n-cpu\nmax,");
	has(text, "\n-smp\n1,sockets=1,cores=1,threads=1,maxcpus=1\n");
	has(text, "\nmemory-backend-memfd,id=mem,size=268435456,share=on\n");
	has(text, "\n-m\nsize=268435456b\n");
	has(text, "\n-kernel\n/boot/kernel\n-initrd\n/boot/initrd\n");
	has(text, "\n-append\nswiotlb=noforce no_timer_check tsc=reliable quiet\n");
	const struct hull_qemu_host host = { .tsc_khz = 2600123 };
	has(args(&config, &host), "\n-append\nswiotlb=noforce no_timer_check tsc=reliable tsc_early_khz=2600123 quiet\n");
	text = args(&config, NULL);
	has(text, "\nsocket,id=qmp,fd=11\n");
	has(text, "\nsocket,id=agent,fd=12\n");
	has(text, "\nsocket,id=console,fd=13\n");
	has(text, "name=hull.agent\n");
	has(text, "\n-sandbox\non,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny\n");
	has(text, "\npvpanic-pci\n");
	has(text, "\nvirtio-rng-pci,rng=entropy,max-bytes=65536,period=1000,");
	has_not(text, "vhost-user-fs");
	has_not(text, "virtio-mem");
	has_not(text, "pcie-root-port");
	has_not(text, "isa-serial");
	has_not(text, "-bios");
	has_not(text, "maxmem");
	/* Nothing of the host's paths but the binary. */
	has_not(text, "\n/k\n");
	has_not(text, "\n/i\n");
}

static void test_kvm(void **state)
{
	struct hull_vm_config config = basic();
	struct hull_qemu_host host = { .firmware = "/usr/share/qemu/qboot.rom" };
	config.accel = HULL_ACCEL_KVM;
	const char *text = args(&config, &host);
	has(text, "\n-accel\nkvm\n-cpu\nhost\n");
	has(text, "\n-bios\n/usr/share/qemu/qboot.rom\n");
	has(text, "\n-append\nswiotlb=noforce quiet\n");
	host.no_arch_capabilities = true;
	has(args(&config, &host), "\n-cpu\nhost,arch-capabilities=off\n");
}

static void test_hotplug(void **state)
{
	struct hull_vm_config config = basic();
	config.memory_max_bytes = 1ULL << 30;
	config.vcpus = 2;
	config.vcpus_max = 8;
	config.hotplug_ports = 3;
	const char *text = args(&config, NULL);
	has(text, "\n-m\nsize=268435456b,maxmem=1073741824b\n");
	has(text, "\nmemory-backend-memfd,id=vmem-backend,size=805306368,share=on,reserve=off\n");
	has(text, "\nvirtio-mem-pci,id=vmem,memdev=vmem-backend,block-size=2097152,requested-size=0,");
	has(text, "memhp_default_state=online");
	has(text, "\n2,sockets=1,cores=8,threads=1,maxcpus=8\n");
	has(text, "\npcie-root-port,id=hp0,chassis=1,slot=0,romfile=\n");
	has(text, "\npcie-root-port,id=hp2,chassis=3,slot=2,romfile=\n");
	has_not(text, "id=hp3");
}

static void test_share(void **state)
{
	struct hull_vm_config config = basic();
	config.share_fd = 15;
	config.share_tag = "a,b=c";
	const char *text = args(&config, NULL);
	has(text, "\nsocket,id=share,fd=15\n");
	has(text, ",romfile=,tag=a,,b=c\n");
}

static void test_nics(void **state)
{
	struct hull_vm_config config = basic();
	const int one[] = { 21 }, two[] = { 22, 23 }, vhost[] = { 24, 25 };
	struct hull_nic nics[] = {
		{ .id = "n2", .tap_fds = one, .queues = 1, .mac = "02:00:00:00:00:02" },
		{ .id = "n3", .tap_fds = two, .vhost_fds = vhost, .queues = 2, .mac = "02:00:00:00:00:03" },
	};
	has(args(&config, NULL), "\npcie-pci-bridge,id=nics\n");
	config.nics = nics;
	config.n_nics = 2;
	const char *text = args(&config, NULL);
	has(text, "\n-netdev\ntap,id=nic-n2,fd=21\n-device\nvirtio-net-pci,id=nic-n2,netdev=nic-n2,mac=02:00:00:00:00:02,bus=nics,"
	    "addr=0x1,disable-legacy=on,romfile=\n");
	has(text, "\n-netdev\ntap,id=nic-n3,fds=22:23,vhost=on,vhostfds=24:25\n");
	has(text, ",bus=nics,addr=0x2,mq=on,vectors=6,disable-legacy=on");
}

static void test_debug_console(void **state)
{
	struct hull_vm_config config = basic();
	config.debug_console = true;
	const char *text = args(&config, NULL);
	has(text, "\nsocket,id=early,fd=14\n-device\nisa-serial,chardev=early\n");
	has(text, "earlyprintk=ttyS0 console=ttyS0 ignore_loglevel quiet\n");
}

static void test_no_initrd(void **state)
{
	struct hull_vm_config config = basic();
	config.initrd_path = config.kernel_cmdline = NULL;
	has_not(args(&config, NULL), "-initrd");
}

static void refused(const struct hull_vm_config *config, const char *words)
{
	const struct hull_qemu_host host = { 0 };
	const struct hull_qemu_fds fds = { 11, 12, 13, -1, config->share_fd };
	struct hull_error err = HULL_ERROR_INIT;
	struct hull_strv argv = { 0 };
	assert_int_equal(hull_qemu_args(config, &host, &fds, &argv, &err), -EINVAL);
	has(err.message, words);
	assert_null(argv.v);
}

static void test_refused(void **state)
{
	struct hull_vm_config config = basic();
	config.accel = HULL_ACCEL_AUTO;
	refused(&config, "accelerator auto");
	config = basic();
	config.memory_bytes += 4096;
	refused(&config, "2 MiB");
	config = basic();
	config.memory_max_bytes = 128ULL << 20;
	refused(&config, "below the first");
	config = basic();
	config.vcpus_max = 0;
	refused(&config, "vCPUs");
	config = basic();
	config.hotplug_ports = 100;
	refused(&config, "hot-plug ports");
	config = basic();
	config.share_fd = 3;
	refused(&config, "tag");
	config = basic();
	const int fd = 9;
	struct hull_nic nic = { .id = "a,b", .tap_fds = &fd, .queues = 1, .mac = "02:00:00:00:00:02" };
	config.nics = &nic;
	config.n_nics = 1;
	refused(&config, "not a device name");
}

static void test_accel_names(void **state)
{
	enum hull_accel accel = HULL_ACCEL_AUTO;
	assert_int_equal(hull_accel_parse("kvm", &accel), 0);
	assert_int_equal(accel, HULL_ACCEL_KVM);
	assert_string_equal(hull_accel_name(HULL_ACCEL_TCG), "tcg");
	assert_int_equal(hull_accel_parse("xen", &accel), -EINVAL);
	assert_int_equal(accel, HULL_ACCEL_KVM);
	assert_string_equal(hull_accel_name((enum hull_accel)99), "unknown");
}

/* It is the same twice, also on a busy machine, or not known. */
static void test_tsc(void **state)
{
	(void)state;
	uint32_t first = hull_tsc_khz(), second = hull_tsc_khz();
	if (!first || !second)
		skip();
	assert_in_range(second, first - first / 100, first + first / 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_basic),
		cmocka_unit_test(test_tsc), cmocka_unit_test(test_kvm), cmocka_unit_test(test_hotplug),
		cmocka_unit_test(test_share), cmocka_unit_test(test_nics), cmocka_unit_test(test_debug_console), cmocka_unit_test(test_no_initrd),
		cmocka_unit_test(test_refused), cmocka_unit_test(test_accel_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
