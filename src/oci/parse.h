/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the parser share: one type and one destructor per area of config.json. Private to src/oci. */
#pragma once

#include "oci/json_fields.h"
#include "oci/spec.h"

/* Objects of config.json. The targets of linux, hooks and root are the whole struct hull_oci_spec. */
extern const struct hull_json_type hull_oci_process_type;
extern const struct hull_json_type hull_oci_capabilities_type;
extern const struct hull_json_type hull_oci_mount_type;
extern const struct hull_json_type hull_oci_hooks_type;
extern const struct hull_json_type hull_oci_linux_type;
extern const struct hull_json_type hull_oci_resources_type;
extern const struct hull_json_type hull_oci_seccomp_type;
extern const struct hull_json_type hull_oci_id_mapping_type;

/* Free what the members of a struct own, not the struct. */
void hull_oci_process_clear(struct hull_oci_process *p);
void hull_oci_mount_clear(struct hull_oci_mount *m);
void hull_oci_hooks_clear(struct hull_oci_hooks *h);
void hull_oci_linux_clear(struct hull_oci_spec *spec);
void hull_oci_resources_clear(struct hull_oci_resources *r);
void hull_oci_seccomp_clear(struct hull_oci_seccomp *s);
void hull_oci_kvs_clear(struct hull_oci_kvs *kvs);

/* struct hull_oci_kvs from an object of strings. */
hull_json_reader hull_oci_read_kvs;
/* char *: a list such as "0-3,5" as the kernel's cpuset files take it. */
hull_json_reader hull_oci_read_cpu_list;
/* unsigned long: "rprivate" and the like as MS_… */
hull_json_reader hull_oci_read_propagation;

/* Adds copies. */
void hull_oci_kvs_add(struct hull_oci_kvs *kvs, const char *key, const char *value);

/* Writes a sysctl's name ("net.ipv4.ip_forward", "net/ipv4/conf/eth0.1/mtu") as its path below /proc/sys. -EINVAL. */
int hull_oci_sysctl_path(const char *name, char **ret_path);

/* What concerns more than one area; the end of hull_oci_spec_parse(). */
int hull_oci_spec_validate(const struct hull_json *v, const struct hull_oci_spec *spec);

/* Names, for hull_oci_features(). All tables end with a NULL name. */
extern const struct hull_json_name hull_oci_capability_names[];
extern const struct hull_json_name hull_oci_namespace_names[];
extern const struct hull_json_name hull_oci_hook_names[];
extern const struct hull_json_name hull_oci_seccomp_action_names[];
extern const struct hull_json_name hull_oci_seccomp_operator_names[];
extern const struct hull_json_name hull_oci_seccomp_arch_names[];
extern const struct hull_json_name hull_oci_seccomp_flag_names[];

/* The n-th mount option that is not left to the file system, in alphabetical order; NULL behind the last. */
const char *hull_oci_mount_option_name(size_t n);
