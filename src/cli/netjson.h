/* SPDX-License-Identifier: Apache-2.0 */
/* Interfaces and routes as JSON, in the form that users of kata-network know. */
#pragma once

#include <json-c/json.h>

#include "base/error.h"
#include "rpc/pod.pb-c.h"

/*
 * Reads one object, or an array of them, into edit->interfaces or edit->routes. Names have at most 15 characters, MTUs are from 46 to 9600.
 * What is not understood is an error that names the field. Cleared with hull_netjson_clear(), also after an error.
 */
int hull_netjson_interfaces(const char *text, Hull__Pod__V1__NetworkEdit *edit, struct hull_error *err);
int hull_netjson_routes(const char *text, Hull__Pod__V1__NetworkEdit *edit, struct hull_error *err);
void hull_netjson_clear(Hull__Pod__V1__NetworkEdit *edit);

/* The caller puts the object. */
json_object *hull_netjson_from_interfaces(const Hull__Pod__V1__NetworkList *list);
json_object *hull_netjson_from_routes(const Hull__Pod__V1__NetworkList *list);
