/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a VM is acquired and lost (pod/vm.c), on the fake VMM driver: the test plays the guest's agent with a real
 * server on the other end of the port. virtiofsd is the real one, so root is needed.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/process.h"
#include "fake.h"
#include "pod/vm.h"
#include "rpc/agent.pb-c.h"

#define DEADLINE_MS 10000

struct fixture {
	uv_loop_t loop;
	char dir[64];
	struct hull_config *config;
	struct hull_vm *vm;
	struct hull_rpc_server *agent;
	unsigned n_ready, n_lost, n_grown;
	struct hull_error ready_err, grown_err;
	char lost[2048];
};

static void on_ready(void *data, const struct hull_error *err)
{
	struct fixture *f = data;
	f->n_ready++;
	if (err)
		f->ready_err = *err;
}

static void on_lost(void *data, const char *reason)
{
	struct fixture *f = data;
	f->n_lost++;
	snprintf(f->lost, sizeof(f->lost), "%s", reason);
}

static const struct hull_vm_events events = { .on_ready = on_ready, .on_lost = on_lost };

static void answer_info(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	Hull__Agent__V1__Info info = HULL__AGENT__V1__INFO__INIT;
	(void)message;
	(void)data;
	info.agent_version = (char *)(uintptr_t)"7.7";
	info.kernel_release = (char *)(uintptr_t)"6.1-test";
	hull_rpc_reply(request, &info.base);
}

static unsigned online_asked;

static void answer_online(struct hull_rpc_request *request, const ProtobufCMessage *message, void *data)
{
	Hull__Agent__V1__Empty empty = HULL__AGENT__V1__EMPTY__INIT;
	(void)data;
	online_asked = ((const Hull__Agent__V1__OnlineCpusRequest *)message)->count;
	hull_rpc_reply(request, &empty.base);
}

static const struct hull_rpc_method methods[] = {
	{ "OnlineCpus", &hull__agent__v1__online_cpus_request__descriptor, answer_online, NULL },
	{ "GetInfo", &hull__agent__v1__empty__descriptor, answer_info, NULL },
	{ NULL, NULL, NULL, NULL },
};
static const struct hull_rpc_service service = { "hull.agent.v1.Agent", methods };

static int set_up(void **state)
{
	struct fixture *f = hull_new(struct fixture, 1);
	struct hull_error err = HULL_ERROR_INIT;
	snprintf(f->dir, sizeof(f->dir), "/tmp/hull-vm-XXXXXX");
	if (!mkdtemp(f->dir) || hull_share_enter_namespace(&err) < 0 || hull_config_load(&f->config, &err) < 0)
		return -1;
	uv_loop_init(&f->loop);
	hull_fake_reset();
	/* Any files will do: nothing boots them. */
	free(f->config->kernel);
	free(f->config->initrd);
	f->config->kernel = hull_strdup("/bin/true");
	f->config->initrd = hull_strdup("/bin/true");
	f->config->accelerator = HULL_ACCEL_TCG;
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	hull_vm_free(f->vm);
	hull_rpc_server_free(f->agent);
	uv_run(&f->loop, UV_RUN_DEFAULT);
	int r = uv_loop_close(&f->loop);
	hull_config_free(f->config);
	hull_rmtree(AT_FDCWD, f->dir);
	free(f);
	return r;
}

static int acquire(struct fixture *f, struct hull_error *err)
{
	struct hull_vm_request rq = { .config = f->config, .vmm_ops = &hull_vmm_fake, .root = f->dir, .pod_dir = f->dir,
				      .memory_bytes = UINT64_C(768) << 20, .vcpus = 3 };
	return hull_vm_acquire(&f->loop, &rq, &events, f, &f->vm, err);
}

static void serve(struct fixture *f)
{
	f->agent = hull_rpc_server_new(&f->loop, &service, 1, NULL, NULL, f);
	assert_non_null(hull_rpc_server_add(f->agent, TAKE_FD(hull_fake.guest_fd)));
}

static void tick(uv_timer_t *timer)
{
	(void)timer;
}

/* Runs the loop until the counter moves. */
static void run_until(struct fixture *f, const unsigned *counter)
{
	uv_timer_t timer;
	int64_t deadline = hull_now_ms() + DEADLINE_MS;
	uv_timer_init(&f->loop, &timer);
	uv_timer_start(&timer, tick, 20, 20);
	while (*counter == 0 && hull_now_ms() < deadline)
		uv_run(&f->loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&timer, NULL);
	uv_run(&f->loop, UV_RUN_NOWAIT);
	assert_true(*counter > 0);
}

static void vm_is_ready_when_the_agent_answers(void **state)
{
	struct fixture *f = *state;
	struct hull_error err = HULL_ERROR_INIT;
	assert_int_equal(acquire(f, &err), 0);
	serve(f);
	run_until(f, &f->n_ready);
	assert_int_equal(f->ready_err.code, 0);
	assert_string_equal(hull_vm_facts(f->vm)->kernel_release, "6.1-test");
	assert_string_equal(hull_vm_facts(f->vm)->agent_version, "7.7");
	assert_int_equal(hull_vm_facts(f->vm)->vcpus, 3);
	assert_string_equal(hull_fake.log, "start 768 MiB 3 CPUs\n");
	assert_string_equal(hull_fake.share_tag, HULL_VM_SHARE_TAG);
	assert_int_equal(f->n_lost, 0);
}

static void vm_that_cannot_start_says_why(void **state)
{
	struct fixture *f = *state;
	struct hull_error err = HULL_ERROR_INIT;
	hull_fake.refuse_start = ENOMEM;
	assert_int_equal(acquire(f, &err), -ENOMEM);
	assert_non_null(strstr(err.message, "start VM"));
	assert_null(f->vm);
}

static void failed_start_reaches_on_ready(void **state)
{
	struct fixture *f = *state;
	struct hull_error err = HULL_ERROR_INIT;
	hull_fake.fail_start = EINVAL;
	assert_int_equal(acquire(f, &err), 0);
	run_until(f, &f->n_ready);
	assert_int_not_equal(f->ready_err.code, 0);
	assert_int_equal(f->n_lost, 0);
}

static void agent_that_never_answers_is_a_timeout(void **state)
{
	struct fixture *f = *state;
	struct hull_error err = HULL_ERROR_INIT;
	f->config->boot_timeout_s = 1;
	assert_int_equal(acquire(f, &err), 0);
	run_until(f, &f->n_ready);
	assert_int_not_equal(f->ready_err.code, 0);
	assert_non_null(strstr(f->ready_err.message, "boot_timeout"));
}

static void vmm_exit_is_told_once_with_its_reason(void **state)
{
	struct fixture *f = *state;
	struct hull_error err = HULL_ERROR_INIT;
	assert_int_equal(acquire(f, &err), 0);
	serve(f);
	run_until(f, &f->n_ready);
	/* As in life the connection breaks too; the VMM's own reason is the better one. */
	hull_rpc_server_free(TAKE_PTR(f->agent));
	uv_run(&f->loop, UV_RUN_NOWAIT);
	hull_fake_exit("qemu was killed by signal 9");
	run_until(f, &f->n_lost);
	assert_non_null(strstr(f->lost, "qemu was killed by signal 9"));
	assert_int_equal(f->n_lost, 1);
	assert_int_equal(f->n_ready, 1);
}

static void panic_quotes_the_console_as_one_printable_line(void **state)
{
	struct fixture *f = *state;
	struct hull_error err = HULL_ERROR_INIT;
	assert_int_equal(acquire(f, &err), 0);
	serve(f);
	run_until(f, &f->n_ready);
	hull_fake_console("\x1b[2JKernel panic - not syncing: test\x07\n");
	hull_fake_panic();
	run_until(f, &f->n_lost);
	assert_non_null(strstr(f->lost, "panic"));
	for (const char *p = f->lost; *p; p++)
		assert_true((unsigned char)*p >= 0x20 && (unsigned char)*p != 0x7f);
}

static void dead_virtiofsd_loses_the_vm(void **state)
{
	struct fixture *f = *state;
	struct hull_error err = HULL_ERROR_INIT;
	assert_int_equal(acquire(f, &err), 0);
	serve(f);
	run_until(f, &f->n_ready);
	struct hull_procref share;
	assert_int_equal(hull_procref_get(hull_share_pid(hull_vm_share(f->vm)), &share), 0);
	assert_int_equal(hull_procref_kill(&share, SIGKILL), 0);
	run_until(f, &f->n_lost);
	assert_non_null(strstr(f->lost, "virtiofsd"));
}

static void on_grown(void *data, const struct hull_error *err)
{
	struct fixture *f = data;
	f->n_grown++;
	f->grown_err = err ? *err : (struct hull_error)HULL_ERROR_INIT;
}

static void growing_waits_for_cpus_and_tells_of_failure(void **state)
{
	struct fixture *f = *state;
	struct hull_error err = HULL_ERROR_INIT;
	assert_int_equal(acquire(f, &err), 0);
	serve(f);
	run_until(f, &f->n_ready);

	/* What is there needs no growing. */
	hull_vm_grow(f->vm, UINT64_C(256) << 20, 1, on_grown, f);
	assert_int_equal(f->n_grown, 1);
	assert_int_equal(f->grown_err.code, 0);

	f->n_grown = 0;
	hull_vm_grow(f->vm, UINT64_C(1024) << 20, 4, on_grown, f);
	run_until(f, &f->n_grown);
	assert_int_equal(f->grown_err.code, 0);
	assert_int_equal(online_asked, 4);
	assert_int_equal(hull_vm_facts(f->vm)->vcpus, 4);
	assert_true(hull_vm_facts(f->vm)->memory_bytes == UINT64_C(1024) << 20);

	f->n_grown = 0;
	hull_fake.fail_ops = ETIMEDOUT;
	hull_vm_grow(f->vm, UINT64_C(2048) << 20, 1, on_grown, f);
	run_until(f, &f->n_grown);
	assert_int_equal(f->grown_err.code, ETIMEDOUT);
	assert_true(hull_vm_facts(f->vm)->memory_bytes == UINT64_C(1024) << 20);
	assert_string_equal(hull_fake.log, "start 768 MiB 3 CPUs\nresize 1024 MiB 4 CPUs\nresize 2048 MiB 4 CPUs\n");
}

int main(void)
{
	if (geteuid() != 0)
		return 77;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(vm_is_ready_when_the_agent_answers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(vm_that_cannot_start_says_why, set_up, tear_down),
		cmocka_unit_test_setup_teardown(failed_start_reaches_on_ready, set_up, tear_down),
		cmocka_unit_test_setup_teardown(agent_that_never_answers_is_a_timeout, set_up, tear_down),
		cmocka_unit_test_setup_teardown(vmm_exit_is_told_once_with_its_reason, set_up, tear_down),
		cmocka_unit_test_setup_teardown(panic_quotes_the_console_as_one_printable_line, set_up, tear_down),
		cmocka_unit_test_setup_teardown(dead_virtiofsd_loses_the_vm, set_up, tear_down),
		cmocka_unit_test_setup_teardown(growing_waits_for_cpus_and_tells_of_failure, set_up, tear_down),
	};
	return cmocka_run_group_tests_name("vm", tests, NULL, NULL);
}
