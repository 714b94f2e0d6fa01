/* SPDX-License-Identifier: Apache-2.0 */
/* config.json as the guest gets it. */
#include <json-c/json.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "pod/disks.h"
#include "pod/pod.h"
#include "storage/block.h"

/* A namespace path below it names the container of the VM whose namespace is meant. */
#define GUEST_NAMESPACES "/run/hull/ns"

static void localise_namespaces(json_object *spec, const Hull__Pod__V1__CreateRequest *m)
{
	json_object *linux_object, *list, *type;
	if (!json_object_object_get_ex(spec, "linux", &linux_object) || !json_object_object_get_ex(linux_object, "namespaces", &list))
		return;
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		json_object *entry = json_object_array_get_idx(list, i);
		if (!json_object_object_get_ex(entry, "type", &type))
			continue;
		for (size_t j = 0; j < m->n_joined; j++) {
			if (strcmp(json_object_get_string(type), m->joined[j]->type) != 0)
				continue;
			_cleanup_free_ char *path = hull_asprintf(GUEST_NAMESPACES "/%s", m->joined[j]->container_id);
			json_object_object_add(entry, "path", json_object_new_string(path));
		}
	}
}

/*
 * Block devices of the host that were listed but not named (storage/block.h), and that a rule for all devices allows: their numbers
 * would mean others in the guest. Those that no rule allows are nodes that nobody can open, as with runc.
 */
static void drop_host_disks(struct hull_container *c, const struct hull_oci_spec *spec, json_object *text)
{
	json_object *object, *devices;
	if (!json_object_object_get_ex(text, "linux", &object) || !json_object_object_get_ex(object, "devices", &devices))
		return;
	for (size_t i = spec->n_devices; i-- > 0;) {
		const struct hull_oci_device *d = &spec->devices[i];
		if (d->type != 'b' || hull_disks_is_device(c, (unsigned)i) || !hull_block_is_allowed(spec, d->major, d->minor))
			continue;
		json_object_array_del_idx(devices, i, 1);
		hull_disks_renumber(c, (unsigned)i);
	}
}

/* The profile stays here and its program goes instead. */
static int compile_seccomp(struct hull_container *c, json_object *spec, struct hull_error *err)
{
	json_object *object, *profile;
	if (!c->spec->seccomp.present || !json_object_object_get_ex(spec, "linux", &object) ||
	    !json_object_object_get_ex(object, "seccomp", &profile))
		return 0;
	int r = hull_seccomp_compile(&c->pod->seccomp, &c->spec->seccomp, json_object_to_json_string_ext(profile, JSON_C_TO_STRING_PLAIN),
				     &c->seccomp, err);
	json_object_object_del(object, "seccomp");
	return r;
}

int hull_container_localise(struct hull_container *c, const Hull__Pod__V1__CreateRequest *m, char *const *volumes, struct hull_error *err)
{
	static const char *const host_hooks[] = { "prestart", "createRuntime", "createContainer", "poststart", "poststop" };
	_cleanup_free_ char *text = hull_strndup((const char *)m->spec_json.data, m->spec_json.len);
	json_object *spec = json_tokener_parse(text), *mounts, *hooks;

	if (!spec)
		return hull_error_set(err, EBADMSG, "config.json does not parse");
	if (json_object_object_get_ex(spec, "mounts", &mounts)) {
		for (size_t i = 0; i < m->n_mounts; i++) {
			_cleanup_free_ char *source = hull_strdup(volumes[i]);
			json_object *mount = json_object_array_get_idx(mounts, m->mounts[i]->index);
			if (mount)
				json_object_object_add(mount, "source", json_object_new_string(source));
		}
	}
	localise_namespaces(spec, m);
	drop_host_disks(c, c->spec, spec);
	int r = compile_seccomp(c, spec, err);
	if (json_object_object_get_ex(spec, "hooks", &hooks))
		for (size_t i = 0; i < HULL_ARRAY_SIZE(host_hooks); i++)
			json_object_object_del(hooks, host_hooks[i]);
	c->spec_json = hull_strdup(json_object_to_json_string_ext(spec, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(spec);
	return r;
}
