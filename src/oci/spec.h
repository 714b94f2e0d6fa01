/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config.json as plain structs, validated. Names follow the OCI runtime specification 1.2.
 * Ownership: hull_oci_spec_free() frees all; nothing is shared between two specs.
 * "has_" members tell a field that is absent from one that is zero, where the specification cares.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/mem.h"

#define HULL_OCI_VERSION "1.2.0"
/* A config.json larger than this is refused; it has to fit one RPC message together with its envelope. */
#define HULL_OCI_CONFIG_MAX_BYTES (3u << 20)

struct json_object;

struct hull_oci_kv {
	char *key;
	char *value;
};

struct hull_oci_kvs {
	struct hull_oci_kv *v;
	size_t n;
};

struct hull_oci_user {
	uint32_t uid, gid;
	bool has_umask;
	uint32_t umask;
	uint32_t *additional_gids;
	size_t n_additional_gids;
	char *username;
};

/* One bit per capability number; names that the host's kernel headers do not know are kept apart. */
struct hull_oci_capabilities {
	bool present;                  /* absent: the specification leaves it to the runtime; runc drops all */
	uint64_t bounding, effective, inheritable, permitted, ambient;
	struct hull_strv unknown;      /* warned about and ignored, as runc does */
};

struct hull_oci_rlimit {
	int resource;                  /* RLIMIT_NOFILE … */
	uint64_t soft, hard;
};

struct hull_oci_scheduler {
	bool present;
	uint32_t policy;               /* SCHED_OTHER … */
	int32_t nice;
	int32_t priority;
	uint64_t flags;                /* SCHED_FLAG_… */
	uint64_t runtime, deadline, period;    /* ns */
};

struct hull_oci_process {
	bool terminal;
	bool has_console_size;
	uint32_t console_height, console_width;
	struct hull_oci_user user;
	struct hull_strv args, env;
	char *cwd;
	struct hull_oci_capabilities capabilities;
	struct hull_oci_rlimit *rlimits;
	size_t n_rlimits;
	bool no_new_privileges;
	char *apparmor_profile, *selinux_label;    /* NULL when absent or empty */
	bool has_oom_score_adj;
	int oom_score_adj;
	struct hull_oci_scheduler scheduler;
	bool has_io_priority;
	int io_class, io_priority;     /* IOPRIO_CLASS_…, 0–7 */
	struct hull_strv exec_cpu_affinity;    /* initial, final: empty when absent */
};

struct hull_oci_id_mapping {
	uint32_t container_id, host_id, size;
};

struct hull_oci_mount {
	char *destination, *type, *source;     /* type, source may be NULL */
	unsigned long flags;           /* MS_… to set, without MS_BIND, MS_REC and propagation */
	unsigned long flags_clear;     /* MS_… explicitly cleared ("rw", "dev", …) */
	uint64_t rec_attr_set, rec_attr_clear; /* MOUNT_ATTR_… for "rro" and the like */
	unsigned long propagation;     /* MS_SHARED|MS_REC … or 0 */
	bool is_bind, is_recursive;    /* bind, rbind */
	bool tmpcopyup;
	bool idmap, ridmap;            /* idmap also with uidMappings or gidMappings */
	struct hull_oci_id_mapping *uid_mappings, *gid_mappings;
	size_t n_uid_mappings, n_gid_mappings;
	char *data;                    /* the options left for the file system, comma-separated; NULL: none */
	struct hull_strv options;      /* as written */
};

enum hull_oci_ns_type {
	HULL_NS_PID, HULL_NS_NETWORK, HULL_NS_MOUNT, HULL_NS_IPC, HULL_NS_UTS, HULL_NS_USER, HULL_NS_CGROUP, HULL_NS_TIME,
	HULL_NS_COUNT,
};

/* "network", "ipc": as in config.json. */
const char *hull_oci_namespace_name(enum hull_oci_ns_type type);

struct hull_oci_namespace {
	bool present;                  /* absent means: the runtime's own namespace, that is the host's */
	char *path;                    /* NULL: a new one */
};

struct hull_oci_device {
	char type;                     /* 'c', 'b', 'p' ('u' becomes 'c') */
	char *path;
	int64_t major, minor;
	bool has_mode;
	mode_t mode;
	uint32_t uid, gid;
};

struct hull_oci_device_rule {
	bool allow;
	char type;                     /* 'a', 'c', 'b' */
	int64_t major, minor;          /* -1: any */
	unsigned access;               /* HULL_DEV_READ | … */
};
#define HULL_DEV_MKNOD 1u              /* Source: linux/bpf.h, BPF_DEVCG_ACC_MKNOD, _READ, _WRITE */
#define HULL_DEV_READ 2u
#define HULL_DEV_WRITE 4u

struct hull_oci_throttle {
	int64_t major, minor;
	uint64_t rate;
};

struct hull_oci_hugepage_limit {
	char *page_size;
	uint64_t limit;
};

/* has_… is false when the field is absent; -1 means "no limit" where the specification says so. */
struct hull_oci_resources {
	struct hull_oci_device_rule *devices;
	size_t n_devices;

	bool has_memory_limit, has_memory_reservation, has_memory_swap, has_oom_kill_disable;
	int64_t memory_limit, memory_reservation, memory_swap;      /* bytes */
	bool oom_kill_disable;
	bool has_memory_swappiness, has_memory_kernel, has_memory_kernel_tcp;
	uint64_t memory_swappiness;
	int64_t memory_kernel, memory_kernel_tcp;
	bool memory_use_hierarchy, memory_check_before_update;

	bool has_cpu_shares, has_cpu_quota, has_cpu_period, has_cpu_burst, has_cpu_idle;
	uint64_t cpu_shares, cpu_period, cpu_burst;                 /* µs */
	int64_t cpu_quota, cpu_idle;
	bool has_cpu_rt;
	char *cpu_cpus, *cpu_mems;

	bool has_pids_limit;
	int64_t pids_limit;

	bool has_blkio_weight;
	uint16_t blkio_weight;
	struct hull_oci_throttle *read_bps, *write_bps, *read_iops, *write_iops;
	size_t n_read_bps, n_write_bps, n_read_iops, n_write_iops;
	bool has_blkio_other;          /* leafWeight, weightDevice */

	struct hull_oci_hugepage_limit *hugepages;
	size_t n_hugepages;
	bool has_network;              /* classID, priorities */
	bool has_rdma;
	struct hull_oci_kvs unified;
};

struct hull_oci_seccomp_arg {
	uint32_t index;
	uint64_t value, value_two;
	int op;                        /* enum scmp_compare */
};

struct hull_oci_seccomp_rule {
	struct hull_strv names;
	uint32_t action;               /* SCMP_ACT_… with errno or trace value folded in */
	struct hull_oci_seccomp_arg *args;
	size_t n_args;
};

struct hull_oci_seccomp {
	bool present;
	uint32_t default_action;
	uint32_t *architectures;       /* SCMP_ARCH_… */
	size_t n_architectures;
	unsigned flags;                /* HULL_SECCOMP_… */
	char *listener_path, *listener_metadata;
	struct hull_oci_seccomp_rule *rules;
	size_t n_rules;
};
#define HULL_SECCOMP_TSYNC 1u
#define HULL_SECCOMP_LOG 2u
#define HULL_SECCOMP_SPEC_ALLOW 4u
#define HULL_SECCOMP_WAIT_KILLABLE 8u

struct hull_oci_hook {
	char *path;
	struct hull_strv args, env;
	int timeout_s;                 /* 0: none */
};

struct hull_oci_hooks {
	struct hull_oci_hook *v;
	size_t n;
};

struct hull_oci_spec {
	char *oci_version;

	bool has_process;
	struct hull_oci_process process;

	char *root_path;
	bool root_readonly;

	char *hostname, *domainname;

	struct hull_oci_mount *mounts;
	size_t n_mounts;

	struct hull_oci_hooks prestart, create_runtime, create_container, start_container, poststart, poststop;
	struct hull_oci_kvs annotations;

	bool has_linux;
	struct hull_oci_namespace namespaces[HULL_NS_COUNT];
	struct hull_oci_id_mapping *uid_mappings, *gid_mappings;
	size_t n_uid_mappings, n_gid_mappings;
	struct hull_oci_kvs time_offsets;      /* "monotonic"/"boottime" -> "SECS NANOSECS" */
	struct hull_oci_device *devices;
	size_t n_devices;
	char *cgroups_path;
	bool has_resources;
	struct hull_oci_resources resources;
	unsigned long rootfs_propagation;      /* MS_… or 0 */
	struct hull_oci_seccomp seccomp;
	struct hull_strv masked_paths, readonly_paths;
	struct hull_oci_kvs sysctl;            /* keys are paths below /proc/sys: "net/ipv4/ip_forward" */
	char *mount_label;
	bool has_intel_rdt;
	bool has_personality;
	unsigned long personality;

	/* Fields that mean nothing here and are ignored by rule (docs/oci.md): dotted names, for one warning each. */
	struct hull_strv ignored;
};

/*
 * Parses and validates the text of a config.json. Errors name the field by its dotted path ("process.user.uid: expected a
 * number, found a string"). Duplicate keys, NULs inside strings, invalid UTF-8, nesting deeper than 32 and numbers out of range
 * are errors. An unknown field is an error if it sits where it could matter for isolation (process, linux and below, root, mounts[],
 * hooks), and is put on `ignored` elsewhere, as the specification asks of extensions.
 */
int hull_oci_spec_parse(const char *text, size_t len, struct hull_oci_spec **ret, struct hull_error *err);

/* The same for a lone "process" object (exec --process). */
int hull_oci_process_parse(const char *text, size_t len, struct hull_oci_process **ret, struct hull_error *err);

/* The same for a lone "resources" object (update --resources). 0 means "not set" where runc takes it so. */
int hull_oci_resources_parse(const char *text, size_t len, struct hull_oci_resources **ret, struct hull_error *err);

/*
 * What Hull cannot do is refused by name, with the reason: the host's namespaces, and so on. Called on the host before
 * anything is made; hull_oci_spec_parse() does not call it.
 */
int hull_oci_spec_check_supported(const struct hull_oci_spec *spec, struct hull_error *err);

/*
 * Refuses the host's own network namespace given by its path, which is how Docker writes --network host. Only for containers
 * that start a VM: those that join one name the namespace of their pod's stand-in process, which may be the host's.
 */
int hull_oci_spec_check_own_network(const struct hull_oci_spec *spec, struct hull_error *err);

void hull_oci_spec_free(struct hull_oci_spec *spec);
void hull_oci_process_free(struct hull_oci_process *process);
void hull_oci_resources_free(struct hull_oci_resources *resources);

/* The value of an annotation, or NULL. Borrowed. */
const char *hull_oci_annotation(const struct hull_oci_spec *spec, const char *key);

/* The text of `hull spec` (runc's default config with a terminal, tab-indented). Caller frees. */
char *hull_oci_default_config(void);

/* The text of `hull features` (runtime-spec 1.2 features.md). Caller frees. `hull_version` goes into its annotations. */
char *hull_oci_features(const char *hull_version);

/* "CAP_NET_RAW" or "NET_RAW" in any case -> number, or -EINVAL. */
int hull_oci_capability_parse(const char *name);

/*
 * The process object for exec as JSON text, made from config.json's own process and the command line's overrides (runc's exec
 * rules: args replaced, terminal/cwd/user/env/caps/noNewPrivileges overridden, env appended). NULL members mean: not given.
 */
struct hull_oci_exec_overrides {
	const struct hull_strv *args, *env, *caps;
	const char *cwd;
	const char *user;              /* UID[:GID] */
	const uint32_t *additional_gids;
	size_t n_additional_gids;
	bool terminal, no_new_privileges;
};
int hull_oci_exec_process(const char *config_text, size_t len, const struct hull_oci_exec_overrides *o,
			  char **ret_json, struct hull_error *err);
