/* SPDX-License-Identifier: Apache-2.0 */
/* The features document: what the runtime knows, whatever the host. Source: runtime-spec 1.2, features.md, features-linux.md. */
#include <seccomp.h>
#include <string.h>

#include "base/cleanup.h"
#include "oci/parse.h"

#define STRINGIFY(x) #x
#define NUMBER(x) STRINGIFY(x)

static void add_string(struct json_object *object, const char *key, const char *value)
{
	json_object_object_add(object, key, json_object_new_string(value));
}

static void add_bool(struct json_object *object, const char *key, bool value)
{
	json_object_object_add(object, key, json_object_new_boolean(value));
}

static struct json_object *add_object(struct json_object *object, const char *key)
{
	struct json_object *member = json_object_new_object();
	json_object_object_add(object, key, member);
	return member;
}

/* The names of a table as an array, without `except` (may be NULL). */
static void add_names(struct json_object *object, const char *key, const struct hull_json_name *names, const char *except)
{
	struct json_object *array = json_object_new_array();
	for (; names->name; names++)
		if (!except || strcmp(names->name, except) != 0)
			json_object_array_add(array, json_object_new_string(names->name));
	json_object_object_add(object, key, array);
}

static void add_mount_options(struct json_object *features)
{
	struct json_object *array = json_object_new_array();
	const char *name;
	for (size_t i = 0; (name = hull_oci_mount_option_name(i)); i++)
		json_object_array_add(array, json_object_new_string(name));
	json_object_object_add(features, "mountOptions", array);
}

static void add_enabled(struct json_object *object, const char *key, bool enabled)
{
	add_bool(add_object(object, key), "enabled", enabled);
}

static void add_linux(struct json_object *features)
{
	struct json_object *object = add_object(features, "linux");

	add_names(object, "namespaces", hull_oci_namespace_names, NULL);
	add_names(object, "capabilities", hull_oci_capability_names, NULL);

	struct json_object *cgroup = add_object(object, "cgroup");
	add_bool(cgroup, "v1", true);
	add_bool(cgroup, "v2", true);
	add_bool(cgroup, "systemd", true);
	add_bool(cgroup, "systemdUser", false);
	add_bool(cgroup, "rdma", false);

	struct json_object *seccomp = add_object(object, "seccomp");
	add_bool(seccomp, "enabled", true);
	/* Recognised, but refused: see supported.c. */
	add_names(seccomp, "actions", hull_oci_seccomp_action_names, "SCMP_ACT_NOTIFY");
	add_names(seccomp, "operators", hull_oci_seccomp_operator_names, NULL);
	add_names(seccomp, "archs", hull_oci_seccomp_arch_names, NULL);
	add_names(seccomp, "knownFlags", hull_oci_seccomp_flag_names, NULL);
	add_names(seccomp, "supportedFlags", hull_oci_seccomp_flag_names, NULL);

	add_enabled(object, "apparmor", false);
	add_enabled(object, "selinux", false);
	add_enabled(object, "intelRdt", false);
	add_enabled(add_object(object, "mountExtensions"), "idmap", false);
}

/* Annotations that change how the VM is made, by prefix where they end in a dot. */
static void add_unsafe_annotations(struct json_object *features)
{
	static const char *const prefixes[] = { "com.github.containers.virtcontainers.", "io.katacontainers." };
	struct json_object *array = json_object_new_array();
	for (size_t i = 0; i < HULL_ARRAY_SIZE(prefixes); i++)
		json_object_array_add(array, json_object_new_string(prefixes[i]));
	json_object_object_add(features, "potentiallyUnsafeConfigAnnotations", array);
}

char *hull_oci_features(const char *hull_version)
{
	_cleanup_json_ struct json_object *features = json_object_new_object();

	add_string(features, "ociVersionMin", "1.0.0");
	add_string(features, "ociVersionMax", HULL_OCI_VERSION);
	add_names(features, "hooks", hull_oci_hook_names, NULL);
	add_mount_options(features);
	add_linux(features);

	struct json_object *annotations = add_object(features, "annotations");
	add_string(annotations, "io.github.seccomp.libseccomp.version",
		   NUMBER(SCMP_VER_MAJOR) "." NUMBER(SCMP_VER_MINOR) "." NUMBER(SCMP_VER_MICRO));
	add_string(annotations, "org.opencontainers.runc.checkpoint.enabled", "false");
	add_string(annotations, "run.hull.version", hull_version);
	add_unsafe_annotations(features);

	const char *text = json_object_to_json_string_ext(features, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE);
	return hull_asprintf("%s\n", text);
}
