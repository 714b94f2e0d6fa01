/* SPDX-License-Identifier: Apache-2.0 */
/* The linux object, but for resources and seccomp. Source: runtime-spec 1.2, config-linux.md. */
#include <string.h>
#include <sys/personality.h>
#include <sys/stat.h>
#include <time.h>

#include "base/cleanup.h"
#include "oci/parse.h"

#define ID_MAPPINGS_MAX 340            /* Source: user_namespaces(7), since Linux 4.15 */

const struct hull_json_name hull_oci_namespace_names[] = {
	{ "cgroup", HULL_NS_CGROUP }, { "ipc", HULL_NS_IPC }, { "mount", HULL_NS_MOUNT }, { "network", HULL_NS_NETWORK },
	{ "pid", HULL_NS_PID }, { "time", HULL_NS_TIME }, { "user", HULL_NS_USER }, { "uts", HULL_NS_UTS }, { NULL, 0 },
};

const char *hull_oci_namespace_name(enum hull_oci_ns_type type)
{
	const struct hull_json_name *n = hull_oci_namespace_names;
	while (n->value != type)
		n++;
	return n->name;
}

struct namespace_entry {
	uint32_t type;
	char *path;
};

static const struct hull_json_field namespace_fields[] = {
	HULL_FIELD("type", hull_json_read_name32, HULL_AT(struct namespace_entry, type), .names = hull_oci_namespace_names,
		   .required = true),
	HULL_FIELD("path", hull_json_read_absolute, HULL_AT(struct namespace_entry, path)),
	HULL_FIELD_END,
};
static const struct hull_json_type namespace_type = { .fields = namespace_fields };

static int read_namespace(const struct hull_json *v, struct hull_oci_spec *spec)
{
	struct namespace_entry entry = { 0, NULL };
	int r = hull_json_read_struct(v, &namespace_type, &entry);
	_cleanup_free_ char *path = entry.path;
	if (r < 0)
		return r;

	struct hull_oci_namespace *ns = &spec->namespaces[entry.type];
	struct hull_json type = hull_json_member(v, "type");
	if (ns->present)
		return hull_json_error(&type, "namespace \"%s\" occurs twice", json_object_get_string(type.value));
	ns->present = true;
	ns->path = TAKE_PTR(path);
	return 0;
}

static int read_namespaces(const struct hull_json *v, const struct hull_json_field *f HULL_UNUSED, void *target)
{
	size_t n;
	int r = hull_json_expect_array(v, &n);
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct hull_json element = hull_json_element(v, i);
		r = read_namespace(&element, target);
	}
	return r;
}

static int check_id_mapping(const struct hull_json *v, void *target)
{
	const struct hull_oci_id_mapping *m = target;
	struct hull_json size = hull_json_member(v, "size");

	if (m->size == 0)
		return hull_json_error(&size, "must not be 0");
	if (m->size > UINT32_MAX - m->container_id || m->size > UINT32_MAX - m->host_id)
		return hull_json_error(&size, "the range ends above the largest id");
	return 0;
}

static const struct hull_json_field id_mapping_fields[] = {
	HULL_FIELD("containerID", hull_json_read_u32, HULL_AT(struct hull_oci_id_mapping, container_id), .required = true),
	HULL_FIELD("hostID", hull_json_read_u32, HULL_AT(struct hull_oci_id_mapping, host_id), .required = true),
	HULL_FIELD("size", hull_json_read_u32, HULL_AT(struct hull_oci_id_mapping, size), .required = true),
	HULL_FIELD_END,
};
const struct hull_json_type hull_oci_id_mapping_type = {
	.fields = id_mapping_fields, .size = sizeof(struct hull_oci_id_mapping), .check = check_id_mapping,
};

struct time_offset {
	int64_t secs;
	uint32_t nanosecs;
};

static const struct hull_json_field time_offset_fields[] = {
	HULL_FIELD("secs", hull_json_read_i64, HULL_AT(struct time_offset, secs)),
	HULL_FIELD("nanosecs", hull_json_read_u32, HULL_AT(struct time_offset, nanosecs), .max = 999999999),
	HULL_FIELD_END,
};
static const struct hull_json_type time_offset_type = { .fields = time_offset_fields };

static int read_time_offset(const struct hull_json *v, const struct hull_json_field *f HULL_UNUSED, void *target)
{
	struct hull_oci_spec *spec = target;
	struct time_offset offset = { 0, 0 };
	int r = hull_json_read_struct(v, &time_offset_type, &offset);
	if (r < 0)
		return r;
	_cleanup_free_ char *text = hull_asprintf("%lld %u", (long long)offset.secs, offset.nanosecs);
	hull_oci_kvs_add(&spec->time_offsets, v->key, text);
	return 0;
}

static const struct hull_json_field time_offsets_fields[] = {
	HULL_FIELD("monotonic", read_time_offset, 0),
	HULL_FIELD("boottime", read_time_offset, 0),
	HULL_FIELD_END,
};
static const struct hull_json_type time_offsets_type = { .fields = time_offsets_fields };

static const struct hull_json_name device_type_names[] = {
	{ "b", 'b' }, { "c", 'c' }, { "p", 'p' }, { "u", 'c' }, { NULL, 0 },
};

static int read_device_type(const struct hull_json *v, const struct hull_json_field *f, void *target)
{
	uint64_t type = 0;
	int r = hull_json_lookup(v, f->names, &type);
	((struct hull_oci_device *)target)->type = (char)type;
	return r;
}

/* Engines write the whole st_mode; its type bits say nothing new. */
static int read_file_mode(const struct hull_json *v, const struct hull_json_field *f HULL_UNUSED, void *target)
{
	uint64_t mode = 0;
	int r = hull_json_get_u64(v, UINT32_MAX, &mode);
	if (r < 0)
		return r;
	mode &= ~(uint64_t)S_IFMT;
	if (mode > 07777)
		return hull_json_unexpected(v, "a file mode");
	((struct hull_oci_device *)target)->mode = (mode_t)mode;
	return 0;
}

static int check_device(const struct hull_json *v, void *target)
{
	const struct hull_oci_device *device = target;
	static const char *const numbers[] = { "major", "minor" };

	for (size_t i = 0; i < HULL_ARRAY_SIZE(numbers) && device->type != 'p'; i++) {
		struct hull_json number = hull_json_member(v, numbers[i]);
		if (!number.value)
			return hull_json_error(&number, "missing");
	}
	return 0;
}

static const struct hull_json_field device_fields[] = {
	HULL_FIELD("type", read_device_type, 0, .names = device_type_names, .required = true),
	HULL_FIELD("path", hull_json_read_absolute, HULL_AT(struct hull_oci_device, path), .required = true),
	HULL_FIELD("major", hull_json_read_i64, HULL_AT(struct hull_oci_device, major), .min = 0, .max = UINT32_MAX),
	HULL_FIELD("minor", hull_json_read_i64, HULL_AT(struct hull_oci_device, minor), .min = 0, .max = UINT32_MAX),
	HULL_FIELD("fileMode", read_file_mode, 0, .present_at = HULL_AT(struct hull_oci_device, has_mode)),
	HULL_FIELD("uid", hull_json_read_u32, HULL_AT(struct hull_oci_device, uid)),
	HULL_FIELD("gid", hull_json_read_u32, HULL_AT(struct hull_oci_device, gid)),
	HULL_FIELD_END,
};
static const struct hull_json_type device_type = {
	.fields = device_fields, .size = sizeof(struct hull_oci_device), .check = check_device,
};

int hull_oci_sysctl_path(const char *name, char **ret_path)
{
	/* The separator that comes first separates; the other is a character. Source: sysctl.d(5). */
	bool dotted = name[strcspn(name, "./")] != '/';
	_cleanup_free_ char *path = hull_strdup(name);
	for (char *p = path; dotted && *p; p++)
		*p = *p == '.' ? '/' : *p == '/' ? '.' : *p;

	for (const char *p = path;; p++) {
		size_t len = strcspn(p, "/");
		if (len == 0 || (len == 1 && p[0] == '.') || (len == 2 && p[0] == '.' && p[1] == '.'))
			return -EINVAL;
		p += len;
		if (!*p)
			break;
	}
	*ret_path = TAKE_PTR(path);
	return 0;
}

static int read_sysctl(const struct hull_json *v, const struct hull_json_field *f HULL_UNUSED, void *target)
{
	struct hull_oci_spec *spec = target;
	int r = hull_json_expect_object(v);
	if (r < 0)
		return r;

	json_object_object_foreach(v->value, key, value) {
		struct hull_json field = { .doc = v->doc, .parent = v, .key = key, .value = value };
		_cleanup_free_ char *path = NULL;
		const char *text;
		r = hull_json_get_string(&field, &text);
		if (r < 0)
			return r;
		if (hull_oci_sysctl_path(key, &path) < 0)
			return hull_json_error(&field, "not the name of a sysctl");
		hull_oci_kvs_add(&spec->sysctl, path, text);
	}
	return 0;
}

static const struct hull_json_name personality_names[] = {
	{ "LINUX", PER_LINUX }, { "LINUX32", PER_LINUX32 }, { NULL, 0 },
};

static int read_personality_domain(const struct hull_json *v, const struct hull_json_field *f, void *target)
{
	uint64_t domain = 0;
	int r = hull_json_lookup(v, f->names, &domain);
	((struct hull_oci_spec *)target)->personality = (unsigned long)domain;
	return r;
}

/* The specification has the field, but defines no flags yet. */
static int read_no_flags(const struct hull_json *v, const struct hull_json_field *f HULL_UNUSED, void *target HULL_UNUSED)
{
	size_t n;
	int r = hull_json_expect_array(v, &n);
	return r == 0 && n > 0 ? hull_json_unexpected(v, "an empty array") : r;
}

static const struct hull_json_field personality_fields[] = {
	HULL_FIELD("domain", read_personality_domain, 0, .names = personality_names, .required = true),
	HULL_FIELD("flags", read_no_flags, 0),
	HULL_FIELD_END,
};
static const struct hull_json_type personality_type = { .fields = personality_fields };

/* The guest has no SELinux. */
static int read_mount_label(const struct hull_json *v, const struct hull_json_field *f, void *target)
{
	int r = hull_json_read_string(v, f, target);
	if (r == 0)
		hull_json_ignore(v);
	return r;
}

static int check_linux(const struct hull_json *v, void *target)
{
	const struct hull_oci_spec *spec = target;
	struct hull_json uids = hull_json_member(v, "uidMappings"), gids = hull_json_member(v, "gidMappings");

	if (spec->n_uid_mappings > ID_MAPPINGS_MAX)
		return hull_json_error(&uids, "%zu mappings are more than the kernel's %d", spec->n_uid_mappings, ID_MAPPINGS_MAX);
	if (spec->n_gid_mappings > ID_MAPPINGS_MAX)
		return hull_json_error(&gids, "%zu mappings are more than the kernel's %d", spec->n_gid_mappings, ID_MAPPINGS_MAX);
	return 0;
}

static const struct hull_json_field fields[] = {
	HULL_FIELD("namespaces", read_namespaces, 0),
	HULL_FIELD("uidMappings", hull_json_read_objects, HULL_AT(struct hull_oci_spec, uid_mappings),
		   .type = &hull_oci_id_mapping_type,
		   .aux_at = HULL_AT(struct hull_oci_spec, n_uid_mappings)),
	HULL_FIELD("gidMappings", hull_json_read_objects, HULL_AT(struct hull_oci_spec, gid_mappings),
		   .type = &hull_oci_id_mapping_type,
		   .aux_at = HULL_AT(struct hull_oci_spec, n_gid_mappings)),
	HULL_FIELD("timeOffsets", hull_json_read_object, 0, .type = &time_offsets_type),
	HULL_FIELD("devices", hull_json_read_objects, HULL_AT(struct hull_oci_spec, devices), .type = &device_type,
		   .aux_at = HULL_AT(struct hull_oci_spec, n_devices)),
	HULL_FIELD("netDevices", hull_json_read_refused, 0, .reason = "a host's network device cannot be moved into the VM"),
	HULL_FIELD("cgroupsPath", hull_json_read_string, HULL_AT(struct hull_oci_spec, cgroups_path)),
	HULL_FIELD("resources", hull_json_read_object, HULL_AT(struct hull_oci_spec, resources),
		   .type = &hull_oci_resources_type,
		   .present_at = HULL_AT(struct hull_oci_spec, has_resources)),
	HULL_FIELD("rootfsPropagation", hull_oci_read_propagation, HULL_AT(struct hull_oci_spec, rootfs_propagation)),
	HULL_FIELD("seccomp", hull_json_read_object, HULL_AT(struct hull_oci_spec, seccomp), .type = &hull_oci_seccomp_type),
	HULL_FIELD("maskedPaths", hull_json_read_absolutes, HULL_AT(struct hull_oci_spec, masked_paths)),
	HULL_FIELD("readonlyPaths", hull_json_read_absolutes, HULL_AT(struct hull_oci_spec, readonly_paths)),
	HULL_FIELD("sysctl", read_sysctl, 0),
	HULL_FIELD("mountLabel", read_mount_label, HULL_AT(struct hull_oci_spec, mount_label)),
	HULL_FIELD("intelRdt", hull_json_read_presence, 0, .present_at = HULL_AT(struct hull_oci_spec, has_intel_rdt)),
	HULL_FIELD("memoryPolicy", hull_json_read_refused, 0, .reason = "the VM does not show the host's NUMA nodes"),
	HULL_FIELD("personality", hull_json_read_object, 0, .type = &personality_type,
		   .present_at = HULL_AT(struct hull_oci_spec, has_personality)),
	HULL_FIELD_END,
};
const struct hull_json_type hull_oci_linux_type = { .fields = fields, .check = check_linux };

void hull_oci_linux_clear(struct hull_oci_spec *spec)
{
	for (size_t i = 0; i < HULL_NS_COUNT; i++)
		free(spec->namespaces[i].path);
	free(spec->uid_mappings);
	free(spec->gid_mappings);
	hull_oci_kvs_clear(&spec->time_offsets);
	for (size_t i = 0; i < spec->n_devices; i++)
		free(spec->devices[i].path);
	free(spec->devices);
	free(spec->cgroups_path);
	hull_oci_resources_clear(&spec->resources);
	hull_oci_seccomp_clear(&spec->seccomp);
	hull_strv_clear(&spec->masked_paths);
	hull_strv_clear(&spec->readonly_paths);
	hull_oci_kvs_clear(&spec->sysctl);
	free(spec->mount_label);
}
