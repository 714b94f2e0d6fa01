/* SPDX-License-Identifier: Apache-2.0 */
/* mounts[] and their options. Source: runtime-spec 1.2, config.md, Linux mount options; runc for those it adds. */
#include <string.h>
#include <sys/mount.h>

#include "base/cleanup.h"
#include "oci/parse.h"

enum effect {
	NOTHING,
	SET, CLEAR,                    /* MS_… of the mount itself */
	REC_SET, REC_CLEAR,            /* MOUNT_ATTR_… of all mounts below too */
	REC_ATIME_SET, REC_ATIME_CLEAR,        /* the same for the access time policy, of which there is one */
	PROPAGATION,
	BIND, TMPCOPYUP, IDMAP, RIDMAP,
};

/* In alphabetical order. */
static const struct option {
	const char *name;
	enum effect effect;
	unsigned long value;
} options[] = {
	{ "acl", SET, MS_POSIXACL },
	{ "async", CLEAR, MS_SYNCHRONOUS },
	{ "atime", CLEAR, MS_NOATIME },
	{ "bind", BIND, MS_BIND },
	{ "defaults", NOTHING, 0 },
	{ "dev", CLEAR, MS_NODEV },
	{ "diratime", CLEAR, MS_NODIRATIME },
	{ "dirsync", SET, MS_DIRSYNC },
	{ "exec", CLEAR, MS_NOEXEC },
	{ "idmap", IDMAP, 0 },
	{ "iversion", SET, MS_I_VERSION },
	{ "lazytime", SET, MS_LAZYTIME },
	{ "loud", CLEAR, MS_SILENT },
	{ "mand", SET, MS_MANDLOCK },
	{ "noacl", CLEAR, MS_POSIXACL },
	{ "noatime", SET, MS_NOATIME },
	{ "nodev", SET, MS_NODEV },
	{ "nodiratime", SET, MS_NODIRATIME },
	{ "noexec", SET, MS_NOEXEC },
	{ "noiversion", CLEAR, MS_I_VERSION },
	{ "nolazytime", CLEAR, MS_LAZYTIME },
	{ "nomand", CLEAR, MS_MANDLOCK },
	{ "norelatime", CLEAR, MS_RELATIME },
	{ "nostrictatime", CLEAR, MS_STRICTATIME },
	{ "nosuid", SET, MS_NOSUID },
	{ "nosymfollow", SET, MS_NOSYMFOLLOW },
	{ "private", PROPAGATION, MS_PRIVATE },
	{ "ratime", REC_ATIME_CLEAR, MOUNT_ATTR_NOATIME },
	{ "rbind", BIND, MS_BIND | MS_REC },
	{ "rdev", REC_CLEAR, MOUNT_ATTR_NODEV },
	{ "rdiratime", REC_CLEAR, MOUNT_ATTR_NODIRATIME },
	{ "relatime", SET, MS_RELATIME },
	{ "remount", SET, MS_REMOUNT },
	{ "rexec", REC_CLEAR, MOUNT_ATTR_NOEXEC },
	{ "ridmap", RIDMAP, 0 },
	{ "rnoatime", REC_ATIME_SET, MOUNT_ATTR_NOATIME },
	{ "rnodev", REC_SET, MOUNT_ATTR_NODEV },
	{ "rnodiratime", REC_SET, MOUNT_ATTR_NODIRATIME },
	{ "rnoexec", REC_SET, MOUNT_ATTR_NOEXEC },
	{ "rnorelatime", REC_ATIME_CLEAR, MOUNT_ATTR_RELATIME },
	{ "rnostrictatime", REC_ATIME_CLEAR, MOUNT_ATTR_STRICTATIME },
	{ "rnosuid", REC_SET, MOUNT_ATTR_NOSUID },
	{ "rnosymfollow", REC_SET, MOUNT_ATTR_NOSYMFOLLOW },
	{ "ro", SET, MS_RDONLY },
	{ "rprivate", PROPAGATION, MS_PRIVATE | MS_REC },
	{ "rrelatime", REC_ATIME_SET, MOUNT_ATTR_RELATIME },
	{ "rro", REC_SET, MOUNT_ATTR_RDONLY },
	{ "rrw", REC_CLEAR, MOUNT_ATTR_RDONLY },
	{ "rshared", PROPAGATION, MS_SHARED | MS_REC },
	{ "rslave", PROPAGATION, MS_SLAVE | MS_REC },
	{ "rstrictatime", REC_ATIME_SET, MOUNT_ATTR_STRICTATIME },
	{ "rsuid", REC_CLEAR, MOUNT_ATTR_NOSUID },
	{ "rsymfollow", REC_CLEAR, MOUNT_ATTR_NOSYMFOLLOW },
	{ "runbindable", PROPAGATION, MS_UNBINDABLE | MS_REC },
	{ "rw", CLEAR, MS_RDONLY },
	{ "shared", PROPAGATION, MS_SHARED },
	{ "silent", SET, MS_SILENT },
	{ "slave", PROPAGATION, MS_SLAVE },
	{ "strictatime", SET, MS_STRICTATIME },
	{ "suid", CLEAR, MS_NOSUID },
	{ "symfollow", CLEAR, MS_NOSYMFOLLOW },
	{ "sync", SET, MS_SYNCHRONOUS },
	{ "tmpcopyup", TMPCOPYUP, 0 },
	{ "unbindable", PROPAGATION, MS_UNBINDABLE },
};

const char *hull_oci_mount_option_name(size_t n)
{
	return n < HULL_ARRAY_SIZE(options) ? options[n].name : NULL;
}

static const struct option *find_option(const char *name)
{
	for (size_t i = 0; i < HULL_ARRAY_SIZE(options); i++)
		if (strcmp(options[i].name, name) == 0)
			return &options[i];
	return NULL;
}

int hull_oci_read_propagation(const struct hull_json *v, const struct hull_json_field *f, void *target)
{
	const char *name;
	int r = hull_json_get_string(v, &name);
	if (r < 0 || !*name)
		return r;

	const struct option *option = find_option(name);
	if (!option || option->effect != PROPAGATION)
		return hull_json_unexpected(v, "a mount propagation such as \"rprivate\"");
	*(unsigned long *)(void *)((char *)target + f->at) = option->value;
	return 0;
}

/* Of two options that contradict each other the later one counts. */
static void apply_option(struct hull_oci_mount *m, const struct option *option)
{
	unsigned long value = option->value;

	switch (option->effect) {
	case SET:
		m->flags |= value;
		m->flags_clear &= ~value;
		break;
	case CLEAR:
		m->flags &= ~value;
		m->flags_clear |= value;
		break;
	case REC_SET:
		m->rec_attr_set |= value;
		m->rec_attr_clear &= ~value;
		break;
	case REC_CLEAR:
		m->rec_attr_set &= ~value;
		m->rec_attr_clear |= value;
		break;
	/* The policy is a number, not bits, and is replaced whole. Source: mount_setattr(2), MOUNT_ATTR__ATIME. */
	case REC_ATIME_SET:
		m->rec_attr_set = (m->rec_attr_set & ~(uint64_t)MOUNT_ATTR__ATIME) | value;
		m->rec_attr_clear |= MOUNT_ATTR__ATIME;
		break;
	case REC_ATIME_CLEAR:
		m->rec_attr_set &= ~(uint64_t)value;
		m->rec_attr_clear |= MOUNT_ATTR__ATIME;
		break;
	case PROPAGATION:
		m->propagation = value;
		break;
	case BIND:
		m->is_bind = true;
		m->is_recursive = value & MS_REC;
		break;
	case TMPCOPYUP:
		m->tmpcopyup = true;
		break;
	case IDMAP:
		m->idmap = true;
		break;
	case RIDMAP:
		m->ridmap = true;
		break;
	case NOTHING:
		break;
	}
}

static void append_data(char **data, const char *option)
{
	char *longer = *data ? hull_asprintf("%s,%s", *data, option) : hull_strdup(option);
	free(*data);
	*data = longer;
}

static int check_mount(const struct hull_json *v, void *target)
{
	struct hull_oci_mount *m = target;

	for (size_t i = 0; i < m->options.n; i++) {
		const struct option *option = find_option(m->options.v[i]);
		if (option)
			apply_option(m, option);
		else
			append_data(&m->data, m->options.v[i]);
	}
	if (m->type && strcmp(m->type, "bind") == 0)
		m->is_bind = true;
	if (m->is_bind && (!m->source || !*m->source)) {
		struct hull_json source = hull_json_member(v, "source");
		return hull_json_error(&source, "missing: a bind mount needs one");
	}
	if ((m->n_uid_mappings || m->n_gid_mappings) && !m->ridmap)
		m->idmap = true;

	/* Before specification 1.0 destinations could be relative; runc still takes them. */
	if (m->destination[0] != '/') {
		char *absolute = hull_asprintf("/%s", m->destination);
		free(m->destination);
		m->destination = absolute;
	}
	return 0;
}

static const struct hull_json_field fields[] = {
	HULL_FIELD("destination", hull_json_read_string, HULL_AT(struct hull_oci_mount, destination), .required = true),
	HULL_FIELD("type", hull_json_read_string, HULL_AT(struct hull_oci_mount, type)),
	HULL_FIELD("source", hull_json_read_string, HULL_AT(struct hull_oci_mount, source)),
	HULL_FIELD("options", hull_json_read_strings, HULL_AT(struct hull_oci_mount, options)),
	HULL_FIELD("uidMappings", hull_json_read_objects, HULL_AT(struct hull_oci_mount, uid_mappings),
		   .aux_at = HULL_AT(struct hull_oci_mount, n_uid_mappings), .type = &hull_oci_id_mapping_type),
	HULL_FIELD("gidMappings", hull_json_read_objects, HULL_AT(struct hull_oci_mount, gid_mappings),
		   .aux_at = HULL_AT(struct hull_oci_mount, n_gid_mappings), .type = &hull_oci_id_mapping_type),
	HULL_FIELD_END,
};
const struct hull_json_type hull_oci_mount_type = {
	.fields = fields, .size = sizeof(struct hull_oci_mount), .check = check_mount,
};

void hull_oci_mount_clear(struct hull_oci_mount *m)
{
	free(m->destination);
	free(m->type);
	free(m->source);
	free(m->data);
	free(m->uid_mappings);
	free(m->gid_mappings);
	hull_strv_clear(&m->options);
}
