/* SPDX-License-Identifier: Apache-2.0 */
/* The top of config.json, and the doors to the parser. */
#include <string.h>

#include "base/cleanup.h"
#include "oci/parse.h"

void hull_oci_kvs_add(struct hull_oci_kvs *kvs, const char *key, const char *value)
{
	kvs->v = hull_reallocarray(kvs->v, kvs->n + 1, sizeof(*kvs->v));
	kvs->v[kvs->n++] = (struct hull_oci_kv){ hull_strdup(key), hull_strdup(value) };
}

void hull_oci_kvs_clear(struct hull_oci_kvs *kvs)
{
	for (size_t i = 0; i < kvs->n; i++) {
		free(kvs->v[i].key);
		free(kvs->v[i].value);
	}
	free(kvs->v);
	*kvs = (struct hull_oci_kvs){ NULL, 0 };
}

int hull_oci_read_kvs(const struct hull_json *v, const struct hull_json_field *f, void *target)
{
	struct hull_oci_kvs *kvs = (void *)((char *)target + f->at);
	int r = hull_json_expect_object(v);
	if (r < 0)
		return r;

	json_object_object_foreach(v->value, key, value) {
		struct hull_json field = { .doc = v->doc, .parent = v, .key = key, .value = value };
		const char *text;
		if (!*key)
			return hull_json_error(&field, "a key must not be empty");
		r = hull_json_get_string(&field, &text);
		if (r < 0)
			return r;
		hull_oci_kvs_add(kvs, key, text);
	}
	return 0;
}

/* Skips one or more digits without a leading zero. */
static const char *skip_number(const char *p)
{
	size_t n = strspn(p, "0123456789");
	return n == 0 || (n > 1 && p[0] == '0') ? NULL : p + n;
}

/* MAJOR.MINOR.PATCH, then maybe "-dev", "-rc.1", "+build". Source: semver.org, 2.0.0. */
static bool is_semver(const char *text)
{
	const char *p = text;
	for (int part = 0; part < 3; part++) {
		if (part > 0 && *p++ != '.')
			return false;
		p = skip_number(p);
		if (!p)
			return false;
	}
	if (*p == '\0')
		return true;
	return (*p == '-' || *p == '+') && p[1] &&
	       p[1 + strspn(p + 1, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-.+")] == '\0';
}

static int read_version(const struct hull_json *v, const struct hull_json_field *f, void *target)
{
	int r = hull_json_read_string(v, f, target);
	if (r != 0)
		return r;
	const char *version = ((const struct hull_oci_spec *)target)->oci_version;
	if (!is_semver(version))
		return hull_json_unexpected(v, "a version such as \"" HULL_OCI_VERSION "\"");
	/* Minor versions only add fields, and one that is unknown here is an error by its own name. */
	if (strncmp(version, "1.", 2) != 0) {
		_cleanup_free_ char *quoted = hull_json_quote(version, 32);
		return hull_json_error(v, "version %s is not supported: only 1.x is", quoted);
	}
	return 0;
}

static const struct hull_json_field root_fields[] = {
	HULL_FIELD("path", hull_json_read_string, HULL_AT(struct hull_oci_spec, root_path), .required = true),
	HULL_FIELD("readonly", hull_json_read_bool, HULL_AT(struct hull_oci_spec, root_readonly)),
	HULL_FIELD_END,
};
static const struct hull_json_type root_type = { .fields = root_fields };

static const struct hull_json_field fields[] = {
	HULL_FIELD("ociVersion", read_version, HULL_AT(struct hull_oci_spec, oci_version), .required = true),
	HULL_FIELD("process", hull_json_read_object, HULL_AT(struct hull_oci_spec, process), .type = &hull_oci_process_type,
		   .present_at = HULL_AT(struct hull_oci_spec, has_process)),
	HULL_FIELD("root", hull_json_read_object, 0, .type = &root_type, .required = true),
	HULL_FIELD("hostname", hull_json_read_string, HULL_AT(struct hull_oci_spec, hostname)),
	HULL_FIELD("domainname", hull_json_read_string, HULL_AT(struct hull_oci_spec, domainname)),
	HULL_FIELD("mounts", hull_json_read_objects, HULL_AT(struct hull_oci_spec, mounts), .type = &hull_oci_mount_type,
		   .aux_at = HULL_AT(struct hull_oci_spec, n_mounts)),
	HULL_FIELD("hooks", hull_json_read_object, 0, .type = &hull_oci_hooks_type),
	HULL_FIELD("annotations", hull_oci_read_kvs, HULL_AT(struct hull_oci_spec, annotations)),
	HULL_FIELD("linux", hull_json_read_object, 0, .type = &hull_oci_linux_type,
		   .present_at = HULL_AT(struct hull_oci_spec, has_linux)),
	HULL_FIELD("solaris", hull_json_read_ignored, 0),
	HULL_FIELD("windows", hull_json_read_ignored, 0),
	HULL_FIELD("vm", hull_json_read_ignored, 0),
	HULL_FIELD("zos", hull_json_read_ignored, 0),
	HULL_FIELD("freebsd", hull_json_read_ignored, 0),
	HULL_FIELD_END,
};

static int check_spec(const struct hull_json *v, void *target)
{
	return hull_oci_spec_validate(v, target);
}

static const struct hull_json_type spec_type = { .fields = fields, .check = check_spec, .tolerant = true };

static void freep_spec(struct hull_oci_spec **spec)
{
	hull_oci_spec_free(*spec);
}

static void freep_process(struct hull_oci_process **p)
{
	hull_oci_process_free(*p);
}

static void freep_resources(struct hull_oci_resources **r)
{
	hull_oci_resources_free(*r);
}

/* Text to struct: `name` starts errors, `key` starts paths. `target` is zeroed and stays the caller's to free. */
static int parse_text(const char *text, size_t len, const char *name, const char *key, const struct hull_json_type *type,
		      void *target, struct hull_strv *ignored, struct hull_error *err)
{
	_cleanup_json_ struct json_object *value = NULL;
	int r = hull_json_parse(name ? name : key, text, len, HULL_OCI_CONFIG_MAX_BYTES, &value, err);
	if (r < 0)
		return r;
	struct hull_json_doc doc = { .name = name, .ignored = ignored, .err = err };
	struct hull_json root = hull_json_root(&doc, key, value);
	return hull_json_read_struct(&root, type, target);
}

int hull_oci_spec_parse(const char *text, size_t len, struct hull_oci_spec **ret, struct hull_error *err)
{
	__attribute__((cleanup(freep_spec))) struct hull_oci_spec *spec = hull_new(struct hull_oci_spec, 1);
	int r = parse_text(text, len, "config.json", NULL, &spec_type, spec, &spec->ignored, err);
	if (r == 0)
		*ret = TAKE_PTR(spec);
	return r;
}

int hull_oci_process_parse(const char *text, size_t len, struct hull_oci_process **ret, struct hull_error *err)
{
	__attribute__((cleanup(freep_process))) struct hull_oci_process *p = hull_new(struct hull_oci_process, 1);
	int r = parse_text(text, len, NULL, "process", &hull_oci_process_type, p, NULL, err);
	if (r == 0)
		*ret = TAKE_PTR(p);
	return r;
}

int hull_oci_resources_parse(const char *text, size_t len, struct hull_oci_resources **ret, struct hull_error *err)
{
	__attribute__((cleanup(freep_resources))) struct hull_oci_resources *res = hull_new(struct hull_oci_resources, 1);
	int r = parse_text(text, len, NULL, "resources", &hull_oci_resources_type, res, NULL, err);
	if (r == 0)
		*ret = TAKE_PTR(res);
	return r;
}

void hull_oci_spec_free(struct hull_oci_spec *spec)
{
	if (!spec)
		return;
	free(spec->oci_version);
	hull_oci_process_clear(&spec->process);
	free(spec->root_path);
	free(spec->hostname);
	free(spec->domainname);
	for (size_t i = 0; i < spec->n_mounts; i++)
		hull_oci_mount_clear(&spec->mounts[i]);
	free(spec->mounts);
	struct hull_oci_hooks *const hooks[] = {
		&spec->prestart, &spec->create_runtime, &spec->create_container, &spec->start_container, &spec->poststart,
		&spec->poststop,
	};
	for (size_t i = 0; i < HULL_ARRAY_SIZE(hooks); i++)
		hull_oci_hooks_clear(hooks[i]);
	hull_oci_kvs_clear(&spec->annotations);
	hull_oci_linux_clear(spec);
	hull_strv_clear(&spec->ignored);
	free(spec);
}

void hull_oci_process_free(struct hull_oci_process *process)
{
	if (process)
		hull_oci_process_clear(process);
	free(process);
}

void hull_oci_resources_free(struct hull_oci_resources *resources)
{
	if (resources)
		hull_oci_resources_clear(resources);
	free(resources);
}

const char *hull_oci_annotation(const struct hull_oci_spec *spec, const char *key)
{
	for (size_t i = 0; i < spec->annotations.n; i++)
		if (strcmp(spec->annotations.v[i].key, key) == 0)
			return spec->annotations.v[i].value;
	return NULL;
}
