/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON objects to structs by table: one line per field says its name, how it is read and which member it fills.
 *
 *     static const struct hull_json_field fields[] = {
 *             HULL_FIELD("uid", hull_json_read_u32, HULL_AT(struct hull_oci_user, uid)),
 *             …
 *             HULL_FIELD_END,
 *     };
 *
 * A member of the JSON object that no line names is an error, or is noted as ignored where the type is `tolerant`.
 */
#pragma once

#include "oci/json.h"

struct hull_json_field;

/* A name and the constant it stands for. A table of them ends with a NULL name. */
struct hull_json_name {
	const char *name;
	uint64_t value;
};

/* Fills the members of `target` that `f` names. HULL_JSON_ABSENT: the value means the same as none. */
typedef int hull_json_reader(const struct hull_json *v, const struct hull_json_field *f, void *target);
#define HULL_JSON_ABSENT 1

struct hull_json_type {
	const struct hull_json_field *fields;  /* ends with a NULL name */
	size_t size;                   /* of the struct, for arrays of it */
	/* Runs behind the fields, for what concerns more than one; may be NULL. */
	int (*check)(const struct hull_json *v, void *target);
	bool tolerant;                 /* unknown members are noted, not refused */
};

struct hull_json_field {
	const char *name;
	hull_json_reader *read;
	size_t at;                     /* offset of the member to fill */
	size_t aux_at;                 /* arrays: offset of their size_t count */
	size_t present_at;             /* HULL_AT(…) of a bool that becomes true with the field; 0: none (never a first member) */
	bool required;
	int64_t min, max;              /* numbers: tighter bounds than the type's; both 0: none */
	const struct hull_json_name *names;    /* hull_json_read_name32, _u32s, _flags32, _flags64 */
	const struct hull_json_type *type;     /* hull_json_read_object, _objects */
	const char *reason;            /* hull_json_read_refused */
};
#define HULL_AT(type, member) offsetof(type, member)
/* A field by name, reader and place; further members as designated initialisers. */
#define HULL_FIELD(name_, read_, at_, ...) { .name = (name_), .read = (read_), .at = (at_), ##__VA_ARGS__ }
#define HULL_FIELD_END { .name = NULL }

/* Reads the object `v` into `target`, which is zeroed. On failure `target` can be freed as usual. 0 or -EINVAL. */
int hull_json_read_struct(const struct hull_json *v, const struct hull_json_type *type, void *target);

/* The value of a name, or an error that shows the name. */
int hull_json_lookup(const struct hull_json *v, const struct hull_json_name *names, uint64_t *ret);

hull_json_reader hull_json_read_bool;          /* bool */
hull_json_reader hull_json_read_u16, hull_json_read_u32, hull_json_read_u64;
hull_json_reader hull_json_read_i32, hull_json_read_i64;
hull_json_reader hull_json_read_nonzero_u16, hull_json_read_nonzero_u64, hull_json_read_nonzero_i64;   /* 0 means absent */
hull_json_reader hull_json_read_string;        /* char *; "" means absent */
hull_json_reader hull_json_read_absolute;      /* char *: an absolute path */
hull_json_reader hull_json_read_strings;       /* struct hull_strv */
hull_json_reader hull_json_read_absolutes;     /* struct hull_strv of absolute paths */
hull_json_reader hull_json_read_u32s;          /* uint32_t * and count; names instead of numbers where the field has names */
hull_json_reader hull_json_read_name32;        /* 32-bit integer: one of the names */
hull_json_reader hull_json_read_flags32, hull_json_read_flags64;       /* the named bits of an array, or-ed */
hull_json_reader hull_json_read_object;        /* a struct of `type` */
hull_json_reader hull_json_read_objects;       /* array of structs of `type`, and count */
hull_json_reader hull_json_read_ignored;       /* nothing; the field is noted as ignored */
hull_json_reader hull_json_read_presence;      /* an object with whatever members; only present_at is set, unless it is empty */
hull_json_reader hull_json_read_refused;       /* an error with `reason`, unless the value is empty */
