/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/netjson.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/units.h"

#define NAME_MAX_CHARS 15
#define MTU_MIN 46
#define MTU_MAX 9600
#define QUEUES_MAX 8
#define ENTRIES_MAX 1024

typedef Hull__Pod__V1__NetworkInterface Interface;
typedef Hull__Pod__V1__NetworkRoute Route;

/* Source: linux net/core/dev.c, dev_valid_name(). */
static int check_name(const char *field, const char *name, struct hull_error *err)
{
	size_t n = strlen(name);
	if (n == 0 || n > NAME_MAX_CHARS || strpbrk(name, "/: \t\n") || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return hull_error_set(err, EINVAL, "%s: \"%.32s\" is no interface name: 1 to %d characters, no '/', ':' or space", field, name,
				      NAME_MAX_CHARS);
	return 0;
}

static int read_text(const char *field, json_object *v, char **ret, struct hull_error *err)
{
	if (!json_object_is_type(v, json_type_string))
		return hull_error_set(err, EINVAL, "%s: expected a string", field);
	*ret = hull_strdup(json_object_get_string(v));
	return 0;
}

static int read_number(const char *field, json_object *v, int64_t min, int64_t max, uint32_t *ret, struct hull_error *err)
{
	int64_t n = json_object_is_type(v, json_type_int) ? json_object_get_int64(v) : min - 1;
	if (n < min || n > max)
		return hull_error_set(err, EINVAL, "%s: expected a number from %lld to %lld", field, (long long)min, (long long)max);
	*ret = (uint32_t)n;
	return 0;
}

/* A mask is the length of the prefix, or four numbers as in 255.255.255.0. */
static int mask_bits(const char *mask, int64_t max, int64_t *ret)
{
	struct in_addr dotted;
	if (hull_parse_i64(mask, 0, max, ret) == 0)
		return 0;
	if (max != 32 || inet_pton(AF_INET, mask, &dotted) != 1)
		return -EINVAL;
	uint32_t bits = ntohl(dotted.s_addr);
	if (bits & (~bits >> 1))
		return -EINVAL;
	*ret = __builtin_popcount(bits);
	return 0;
}

static int read_address(json_object *v, char **ret, struct hull_error *err)
{
	json_object *address = NULL, *mask = NULL;
	struct in6_addr any;
	int64_t bits;
	if (!json_object_is_type(v, json_type_object) || !json_object_object_get_ex(v, "address", &address) ||
	    !json_object_object_get_ex(v, "mask", &mask) || !json_object_is_type(address, json_type_string))
		return hull_error_set(err, EINVAL, "IPAddresses: expected {\"address\": …, \"mask\": …}");
	const char *text = json_object_get_string(address);
	bool v6 = inet_pton(AF_INET6, text, &any) == 1;
	if (!v6 && inet_pton(AF_INET, text, &any) != 1)
		return hull_error_set(err, EINVAL, "IPAddresses: \"%.64s\" is no address", text);
	if (mask_bits(json_object_get_string(mask), v6 ? 128 : 32, &bits) < 0)
		return hull_error_set(err, EINVAL, "IPAddresses: %s: \"%.32s\" is no mask", text, json_object_get_string(mask));
	*ret = hull_asprintf("%s/%lld", text, (long long)bits);
	return 0;
}

static int read_addresses(json_object *v, Interface *i, struct hull_error *err)
{
	size_t n = json_object_is_type(v, json_type_array) ? json_object_array_length(v) : ENTRIES_MAX + 1;
	if (n > ENTRIES_MAX)
		return hull_error_set(err, EINVAL, "IPAddresses: expected an array of at most %d addresses", ENTRIES_MAX);
	i->has_addresses = true;
	i->addresses = hull_new(char *, n + 1);
	for (size_t k = 0; k < n; k++) {
		if (read_address(json_object_array_get_idx(v, k), &i->addresses[k], err) < 0)
			return -err->code;
		i->n_addresses++;
	}
	return 0;
}

static int check_mac(const char *mac, struct hull_error *err)
{
	unsigned b[6];
	int n = 0;
	if (sscanf(mac, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &n) != 6 || mac[n] || n != 17 || (b[0] & 1))
		return hull_error_set(err, EINVAL, "hwAddr: \"%.32s\" is no hardware address of an interface", mac);
	return 0;
}

static int read_interface_field(const char *key, json_object *v, Interface *i, struct hull_error *err)
{
	int r = 0;
	if (strcmp(key, "device") == 0 || strcmp(key, "name") == 0) {
		char **at = *key == 'd' ? &i->device : &i->name;
		r = read_text(key, v, at, err);
		return r < 0 ? r : check_name(key, *at, err);
	}
	if (strcmp(key, "hwAddr") == 0) {
		r = read_text(key, v, &i->mac, err);
		return r < 0 || !*i->mac ? r : check_mac(i->mac, err);
	}
	if (strcmp(key, "IPAddresses") == 0)
		return read_addresses(v, i, err);
	if (strcmp(key, "mtu") == 0)
		return read_number(key, v, MTU_MIN, MTU_MAX, &i->mtu, err);
	if (strcmp(key, "queues") == 0)
		return read_number(key, v, 0, QUEUES_MAX, &i->queues, err);
	return hull_error_set(err, EINVAL, "unknown field \"%.32s\" of an interface", key);
}

static int read_interface(json_object *v, Hull__Pod__V1__NetworkEdit *edit, struct hull_error *err)
{
	Interface *i = hull_new(Interface, 1);
	hull__pod__v1__network_interface__init(i);
	edit->interfaces[edit->n_interfaces++] = i;
	json_object_object_foreach(v, key, member)
		if (read_interface_field(key, member, i, err) < 0)
			return -err->code;
	if (!*i->device && !*i->name)
		return hull_error_set(err, EINVAL, "device: missing: which interface of the pod's network namespace is it?");
	return 0;
}

static int read_route(json_object *v, Hull__Pod__V1__NetworkEdit *edit, struct hull_error *err)
{
	Route *route = hull_new(Route, 1);
	hull__pod__v1__network_route__init(route);
	edit->routes[edit->n_routes++] = route;
	json_object_object_foreach(v, key, member) {
		char **at = strcmp(key, "dest") == 0 ? &route->destination : strcmp(key, "gateway") == 0 ? &route->gateway :
			    strcmp(key, "device") == 0 ? &route->device : NULL;
		if (!at)
			return hull_error_set(err, EINVAL, "unknown field \"%.32s\" of a route", key);
		if (read_text(key, member, at, err) < 0)
			return -err->code;
	}
	if (*route->device && check_name("device", route->device, err) < 0)
		return -err->code;
	if (!*route->destination)
		return hull_error_set(err, EINVAL, "dest: missing: a network such as 10.0.0.0/8, or default");
	if (!*route->gateway && !*route->device)
		return hull_error_set(err, EINVAL, "a route needs a gateway or a device");
	return 0;
}

static int read_all(const char *text, Hull__Pod__V1__NetworkEdit *edit,
		    int (*fn)(json_object *, Hull__Pod__V1__NetworkEdit *, struct hull_error *), struct hull_error *err)
{
	json_object *all = json_tokener_parse(text);
	bool array = json_object_is_type(all, json_type_array);
	size_t n = array ? json_object_array_length(all) : 1;
	int r = 0;
	if ((!array && !json_object_is_type(all, json_type_object)) || n > ENTRIES_MAX)
		r = hull_error_set(err, EINVAL, "expected a JSON object, or an array of at most %d", ENTRIES_MAX);
	else {
		edit->interfaces = hull_new(Interface *, n + 1);
		edit->routes = hull_new(Route *, n + 1);
	}
	for (size_t i = 0; r == 0 && i < n; i++) {
		json_object *one = array ? json_object_array_get_idx(all, i) : all;
		r = json_object_is_type(one, json_type_object) ? fn(one, edit, err) : hull_error_set(err, EINVAL, "expected a JSON object");
	}
	json_object_put(all);
	return r;
}

int hull_netjson_interfaces(const char *text, Hull__Pod__V1__NetworkEdit *edit, struct hull_error *err)
{
	return read_all(text, edit, read_interface, err);
}

int hull_netjson_routes(const char *text, Hull__Pod__V1__NetworkEdit *edit, struct hull_error *err)
{
	return read_all(text, edit, read_route, err);
}

void hull_netjson_clear(Hull__Pod__V1__NetworkEdit *edit)
{
	for (size_t i = 0; i < edit->n_interfaces; i++)
		hull__pod__v1__network_interface__free_unpacked(edit->interfaces[i], NULL);
	for (size_t i = 0; i < edit->n_routes; i++)
		hull__pod__v1__network_route__free_unpacked(edit->routes[i], NULL);
	free(edit->interfaces);
	free(edit->routes);
	*edit = (Hull__Pod__V1__NetworkEdit)HULL__POD__V1__NETWORK_EDIT__INIT;
}

static json_object *from_address(const char *prefix)
{
	json_object *out = json_object_new_object();
	const char *slash = strchr(prefix, '/');
	json_object_object_add(out, "address", json_object_new_string_len(prefix, slash ? (int)(slash - prefix) : (int)strlen(prefix)));
	json_object_object_add(out, "mask", json_object_new_string(slash ? slash + 1 : ""));
	return out;
}

json_object *hull_netjson_from_interfaces(const Hull__Pod__V1__NetworkList *list)
{
	json_object *all = json_object_new_array();
	for (size_t i = 0; i < list->n_interfaces; i++) {
		const Interface *from = list->interfaces[i];
		json_object *out = json_object_new_object(), *addresses = json_object_new_array();
		json_object_object_add(out, "device", json_object_new_string(from->device));
		json_object_object_add(out, "name", json_object_new_string(from->name));
		for (size_t n = 0; n < from->n_addresses; n++)
			json_object_array_add(addresses, from_address(from->addresses[n]));
		json_object_object_add(out, "IPAddresses", addresses);
		json_object_object_add(out, "hwAddr", json_object_new_string(from->mac));
		json_object_object_add(out, "mtu", json_object_new_int64(from->mtu));
		json_object_object_add(out, "queues", json_object_new_int64(from->queues));
		json_object_array_add(all, out);
	}
	return all;
}

json_object *hull_netjson_from_routes(const Hull__Pod__V1__NetworkList *list)
{
	json_object *all = json_object_new_array();
	for (size_t i = 0; i < list->n_routes; i++) {
		json_object *out = json_object_new_object();
		json_object_object_add(out, "dest", json_object_new_string(list->routes[i]->destination));
		json_object_object_add(out, "gateway", json_object_new_string(list->routes[i]->gateway));
		json_object_object_add(out, "device", json_object_new_string(list->routes[i]->device));
		json_object_array_add(all, out);
	}
	return all;
}
