/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/statejson.h"

#include <json-c/json.h>

#include "base/mem.h"

json_object *hull_state_json(const struct hull_state *s, enum hull_status status)
{
	json_object *obj = json_object_new_object();
	bool stopped = status == HULL_STATUS_STOPPED;
	json_object_object_add(obj, "ociVersion", json_object_new_string(s->oci_version ? s->oci_version : "1.0.0"));
	json_object_object_add(obj, "id", json_object_new_string(s->id));
	json_object_object_add(obj, "pid", json_object_new_int(stopped ? 0 : s->standin.pid));
	json_object_object_add(obj, "status", json_object_new_string(hull_status_name(status)));
	json_object_object_add(obj, "bundle", json_object_new_string(s->bundle));
	json_object_object_add(obj, "rootfs", json_object_new_string(s->rootfs));
	json_object_object_add(obj, "created", json_object_new_string(s->created));
	if (s->annotations_json)
		json_object_object_add(obj, "annotations", json_tokener_parse(s->annotations_json));
	json_object_object_add(obj, "owner", json_object_new_string(s->owner ? s->owner : ""));
	return obj;
}

char *hull_json_text(json_object *object)
{
	return hull_strdup(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
								  JSON_C_TO_STRING_NOSLASHESCAPE));
}
