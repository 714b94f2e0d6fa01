/* SPDX-License-Identifier: Apache-2.0 */
/* What the command line and the supervisor share: state.json, roles, hull.conf. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/mem.h"
#include "pod/config.h"
#include "pod/paths.h"
#include "pod/role.h"
#include "pod/state.h"

static char dir[64];

static int make_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/hull-state-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	return hull_rmtree(AT_FDCWD, dir);
}

static struct hull_state *sample(void)
{
	struct hull_state *s = hull_new(struct hull_state, 1);
	s->id = hull_strdup("web");
	s->pod_id = hull_strdup("pod");
	s->bundle = hull_strdup("/b \"quoted\"");
	s->rootfs = hull_strdup("/b/rootfs");
	s->oci_version = hull_strdup("1.2.0");
	s->owner = hull_strdup("root");
	s->created = hull_strdup("2026-01-02T03:04:05Z");
	s->annotations_json = hull_strdup("{\"a\":\"b\"}");
	s->status = HULL_STATUS_RUNNING;
	hull_procref_get(getpid(), &s->standin);
	hull_procref_get(getpid(), &s->supervisor);
	return s;
}

static void state_survives_a_round_trip(void **unused)
{
	(void)unused;
	struct hull_error err = HULL_ERROR_INIT;
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct hull_state *s = sample(), *back = NULL;
	s->has_exit = true;
	s->exit_code = 137;
	s->exit_signal = 9;
	s->lost = hull_strdup("qemu was killed");
	assert_int_equal(hull_state_write(fd, s, &err), 0);
	assert_int_equal(hull_state_read(fd, &back, &err), 0);
	assert_string_equal(back->bundle, s->bundle);
	assert_string_equal(back->annotations_json, "{\"a\":\"b\"}");
	assert_int_equal(back->status, HULL_STATUS_RUNNING);
	assert_int_equal(back->standin.pid, getpid());
	assert_true(back->supervisor.start_ticks == s->supervisor.start_ticks);
	assert_int_equal(back->exit_code, 137);
	assert_int_equal(back->exit_signal, 9);
	assert_string_equal(back->lost, "qemu was killed");
	hull_state_free(back);
	hull_state_free(s);
}

static void status_follows_the_supervisor(void **unused)
{
	(void)unused;
	struct hull_state *s = sample();
	assert_int_equal(hull_state_effective(s), HULL_STATUS_RUNNING);
	s->supervisor.start_ticks++;
	assert_int_equal(hull_state_effective(s), HULL_STATUS_STOPPED);
	s->status = HULL_STATUS_CREATING;
	hull_procref_get(getpid(), &s->creator);
	assert_int_equal(hull_state_effective(s), HULL_STATUS_CREATING);
	s->creator.start_ticks++;
	assert_int_equal(hull_state_effective(s), HULL_STATUS_STOPPED);
	hull_state_free(s);
}

static void damaged_state_is_an_error(void **unused)
{
	(void)unused;
	static const char *const texts[] = { "", "{", "[]", "{}", "null", "{\"id\": 1}", "\"x\"",
					     "{\"id\":\"a\",\"podId\":\"a\",\"bundle\":\"b\",\"rootfs\":\"r\",\"created\":\"c\",\"status\":\"odd\"}" };
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < HULL_ARRAY_SIZE(texts); i++) {
		struct hull_error err = HULL_ERROR_INIT;
		struct hull_state *s = NULL;
		assert_int_equal(hull_file_replace(fd, "state.json", texts[i], strlen(texts[i]), 0600), 0);
		assert_int_equal(hull_state_read(fd, &s, &err), -EBADMSG);
		assert_null(s);
		assert_non_null(strstr(err.message, "damaged"));
	}
}

static void roles_come_from_every_dialect(void **unused)
{
	(void)unused;
	static const struct {
		const char *key, *value, *pod_key, *pod;
		int r;
		enum hull_role role;
		const char *pod_id;
	} cases[] = {
		{ NULL, NULL, NULL, NULL, 0, HULL_ROLE_SINGLE, "me" },
		{ "io.kubernetes.cri.container-type", "sandbox", "io.kubernetes.cri.sandbox-id", "me", 0, HULL_ROLE_SANDBOX, "me" },
		{ "io.kubernetes.cri.container-type", "container", "io.kubernetes.cri.sandbox-id", "p", 0, HULL_ROLE_MEMBER, "p" },
		{ "io.kubernetes.cri-o.ContainerType", "sandbox", NULL, NULL, 0, HULL_ROLE_SANDBOX, "me" },
		{ "io.kubernetes.cri-o.ContainerType", "container", "io.kubernetes.cri-o.SandboxID", "p", 0, HULL_ROLE_MEMBER, "p" },
		{ "io.kubernetes.docker.type", "podsandbox", NULL, NULL, 0, HULL_ROLE_SANDBOX, "me" },
		{ "io.kubernetes.docker.type", "container", "io.kubernetes.sandbox.id", "p", 0, HULL_ROLE_MEMBER, "p" },
		{ NULL, NULL, "io.kubernetes.cri-o.SandboxID", "me", 0, HULL_ROLE_SANDBOX, "me" },
		{ NULL, NULL, "io.kubernetes.cri-o.SandboxID", "p", 0, HULL_ROLE_MEMBER, "p" },
		{ "io.kubernetes.docker.type", "sandbox", NULL, NULL, -EINVAL, 0, NULL },
		{ "io.kubernetes.cri.container-type", "container", NULL, NULL, -EINVAL, 0, NULL },
		{ "io.kubernetes.cri.container-type", "container", "io.kubernetes.cri.sandbox-id", "../x", -EINVAL, 0, NULL },
	};
	for (size_t i = 0; i < HULL_ARRAY_SIZE(cases); i++) {
		struct hull_oci_kv kv[2];
		struct hull_oci_spec spec = { .annotations = { .v = kv } };
		struct hull_error err = HULL_ERROR_INIT;
		enum hull_role role;
		_cleanup_free_ char *pod_id = NULL;
		if (cases[i].key)
			kv[spec.annotations.n++] = (struct hull_oci_kv){ (char *)(uintptr_t)cases[i].key, (char *)(uintptr_t)cases[i].value };
		if (cases[i].pod_key)
			kv[spec.annotations.n++] = (struct hull_oci_kv){ (char *)(uintptr_t)cases[i].pod_key, (char *)(uintptr_t)cases[i].pod };
		assert_int_equal(hull_role_find(&spec, "me", &role, &pod_id, &err), cases[i].r);
		if (cases[i].r == 0) {
			assert_int_equal(role, cases[i].role);
			assert_string_equal(pod_id, cases[i].pod_id);
		} else {
			assert_non_null(strstr(err.message, "annotations"));
		}
	}
}

static int load_config(const char *text, struct hull_config **ret, struct hull_error *err)
{
	_cleanup_free_ char *path = hull_asprintf("%s/hull.conf", dir);
	hull_file_replace(AT_FDCWD, path, text, strlen(text), 0600);
	setenv("HULL_CONFIG", path, 1);
	int r = hull_config_load(ret, err);
	unsetenv("HULL_CONFIG");
	return r;
}

static void config_is_read(void **unused)
{
	(void)unused;
	struct hull_error err = HULL_ERROR_INIT;
	struct hull_config *c = NULL;
	assert_int_equal(load_config("# a comment\n[vm]\naccelerator = tcg\nmemory = 1G\nvcpus = 3\nkernel_params = a=b c\n", &c, &err), 0);
	assert_int_equal(c->accelerator, HULL_ACCEL_TCG);
	assert_true(c->memory_bytes == UINT64_C(1) << 30);
	assert_int_equal(c->vcpus, 3);
	assert_string_equal(c->kernel_params, "a=b c");
	hull_config_free(c);
}

static void config_errors_name_file_line_and_key(void **unused)
{
	(void)unused;
	static const struct {
		const char *text, *words;
	} cases[] = {
		{ "[vm]\nmemroy = 1G\n", "line 2: unknown key \"memroy\" in section [vm]" },
		{ "[vm]\nmemory = lots\n", "line 2: memory: expected a size" },
		{ "[vm]\n\nvcpus = 0\n", "line 3: vcpus: expected a number from 1" },
		{ "[vm]\naccelerator = hvf\n", "accelerator: expected auto, kvm or tcg" },
		{ "[vm]\nkernel = boot/vmlinuz\n", "kernel: expected an absolute path" },
		{ "[vm]\nnonsense\n", "line 2" },
	};
	for (size_t i = 0; i < HULL_ARRAY_SIZE(cases); i++) {
		struct hull_error err = HULL_ERROR_INIT;
		struct hull_config *c = NULL;
		assert_true(load_config(cases[i].text, &c, &err) < 0);
		assert_null(c);
		assert_non_null(strstr(err.message, cases[i].words));
		assert_non_null(strstr(err.message, "hull.conf"));
	}
}

static void leftovers_of_dead_creators_are_swept(void **unused)
{
	(void)unused;
	struct hull_error err = HULL_ERROR_INIT;
	_cleanup_free_ char *dead = hull_asprintf("%s/containers/:999999999:web", dir);
	_cleanup_free_ char *alive = hull_asprintf("%s/containers/:%d:web", dir, (int)getpid());
	assert_int_equal(hull_paths_prepare(dir, &err), 0);
	assert_int_equal(hull_mkdir_p(dead, 0700), 0);
	assert_int_equal(hull_mkdir_p(alive, 0700), 0);
	hull_paths_sweep(dir);
	assert_int_equal(access(dead, F_OK), -1);
	assert_int_equal(access(alive, F_OK), 0);
}

static void only_roots_own_state_directory_is_used(void **unused)
{
	(void)unused;
	struct hull_error err = HULL_ERROR_INIT;
	_cleanup_free_ char *root = hull_asprintf("%s/root", dir), *pods = hull_asprintf("%s/root/pods", dir);
	assert_int_equal(hull_paths_check(root, &err), 0);
	assert_int_equal(hull_paths_prepare(root, &err), 0);
	assert_int_equal(hull_paths_check(root, &err), 0);

	assert_int_equal(chmod(pods, 0770), 0);
	assert_int_equal(hull_paths_check(root, &err), -EPERM);
	assert_non_null(strstr(err.message, "root/pods can be written by others"));
	assert_int_equal(chmod(pods, 0700), 0);
	assert_int_equal(chmod(root, 01777), 0);
	assert_int_equal(hull_paths_check(root, &err), -EPERM);
	assert_int_equal(chmod(root, 0711), 0);
	if (geteuid() != 0)
		return;
	assert_int_equal(chown(root, 12345, 0), 0);
	assert_int_equal(hull_paths_check(root, &err), -EPERM);
	assert_non_null(strstr(err.message, "belongs to user 12345"));
	assert_int_equal(chown(root, 0, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(state_survives_a_round_trip),
		cmocka_unit_test(status_follows_the_supervisor),
		cmocka_unit_test(damaged_state_is_an_error),
		cmocka_unit_test(roles_come_from_every_dialect),
		cmocka_unit_test(config_is_read),
		cmocka_unit_test(config_errors_name_file_line_and_key),
		cmocka_unit_test(leftovers_of_dead_creators_are_swept),
		cmocka_unit_test(only_roots_own_state_directory_is_used),
	};
	return cmocka_run_group_tests_name("state", tests, make_dir, remove_dir);
}
