/* SPDX-License-Identifier: Apache-2.0 */
#include <json-c/json.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "cli/cli.h"
#include "cli/facts.h"
#include "cli/statejson.h"
#include "oci/spec.h"
#include "pod/paths.h"

static json_object *text(const char *s)
{
	return json_object_new_string(s ? s : "");
}

static void add(json_object *obj, const char *key, json_object *value)
{
	json_object_object_add(obj, key, value);
}

/* One object, shown as it is or flattened to lines: the two forms cannot disagree. */
static json_object *env_json(const struct hull_cli *cli, const struct hull_facts *f)
{
	json_object *env = json_object_new_object(), *hull = json_object_new_object(), *guest = json_object_new_object();
	json_object *vm = json_object_new_object(), *host = json_object_new_object(), *kvm = json_object_new_object();
	_cleanup_free_ char *supervisor = hull_path_libexec("hull-pod");

	add(hull, "version", text(HULL_VERSION));
	add(hull, "ociVersion", text(HULL_OCI_VERSION));
	add(hull, "supervisor", text(supervisor));
	add(hull, "stateDirectory", text(cli->root));
	add(hull, "configuration", text(f->config->file ? f->config->file : "none (defaults)"));
	add(guest, "flavour", text(f->guest.flavour));
	add(guest, "version", text(f->guest.version));
	add(guest, "kernel", text(f->guest.kernel));
	add(guest, "initrd", text(f->guest.initrd));
	add(guest, "commandLine", text(f->guest.cmdline));
	if (f->guest_err.code)
		add(guest, "error", text(f->guest_err.message));
	add(vm, "accelerator", text(f->accel_err.code ? "none" : hull_accel_name(f->accel)));
	add(vm, "why", text(f->accel_err.code ? f->accel_err.message : f->accel_why));
	add(vm, "vmm", text(f->config->vmm));
	add(vm, "vmmVersion", text(f->vmm_err.code ? f->vmm_err.message : f->vmm_version));
	add(vm, "virtiofsd", text(f->config->virtiofsd));
	add(vm, "virtiofsdVersion", text(f->virtiofsd_err.code ? f->virtiofsd_err.message : f->virtiofsd_version));
	add(vm, "defaultMemoryBytes", json_object_new_uint64(f->config->memory_bytes));
	add(vm, "defaultVcpus", json_object_new_int64(f->config->vcpus));
	add(kvm, "usable", json_object_new_boolean(f->kvm.usable));
	add(kvm, "why", text(f->kvm.why));
	add(kvm, "probeMicroseconds", json_object_new_int64(f->kvm.run_us));
	add(kvm, "pvmHost", json_object_new_boolean(f->kvm.pvm_host));
	add(host, "kernel", text(f->host_kernel));
	add(host, "cpus", json_object_new_int64(f->host_cpus));
	add(host, "memoryBytes", json_object_new_uint64(f->host_memory_bytes));
	add(host, "kvm", kvm);
	add(env, "hull", hull);
	add(env, "guest", guest);
	add(env, "vm", vm);
	add(env, "host", host);
	return env;
}

static void print_lines(const char *prefix, json_object *obj)
{
	json_object_object_foreach(obj, key, value)
	{
		_cleanup_free_ char *name = hull_asprintf("%s%s%s", prefix, *prefix ? "." : "", key);
		if (json_object_is_type(value, json_type_object))
			print_lines(name, value);
		else
			printf("%-26s %s\n", name, json_object_get_string(value));
	}
}

int hull_cmd_env(struct hull_cli *cli, int argc, char **argv, struct hull_error *err)
{
	bool json = false;
	const struct hull_option options[] = {
		{ "json", 0, HULL_OPTION_FLAG, &json, NULL, "print JSON" },
		{ NULL, 0, 0, NULL, NULL, NULL },
	};
	const struct hull_usage usage = { "env", "", "Shows versions, paths, the guest and the accelerator.", 0, 0 };
	struct hull_facts facts;
	int first;

	int r = hull_options_parse(&usage, options, argc, argv, &first, err);
	if (r != 0)
		return r < 0 ? HULL_EXIT_USAGE : HULL_EXIT_OK;
	if (hull_paths_prepare(cli->root, err) < 0 || hull_facts_gather(cli->root, &facts, err) < 0)
		return HULL_EXIT_FAILURE;
	json_object *obj = env_json(cli, &facts);
	if (json) {
		_cleanup_free_ char *out = hull_json_text(obj);
		printf("%s\n", out);
	} else {
		print_lines("", obj);
	}
	json_object_put(obj);
	hull_facts_clear(&facts);
	return HULL_EXIT_OK;
}
