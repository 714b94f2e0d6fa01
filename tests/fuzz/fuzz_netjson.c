/* SPDX-License-Identifier: Apache-2.0 */
/* Interfaces and routes as JSON, as `hull network` reads them: any text gives a message or an error that says something. */
#include <stdint.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "cli/netjson.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = hull_strndup((const char *)data, size);
	for (int routes = 0; routes < 2; routes++) {
		Hull__Pod__V1__NetworkEdit edit = HULL__POD__V1__NETWORK_EDIT__INIT;
		struct hull_error err = HULL_ERROR_INIT;
		int r = routes ? hull_netjson_routes(text, &edit, &err) : hull_netjson_interfaces(text, &edit, &err);
		if (r < 0 && !err.message[0])
			abort();
		hull_netjson_clear(&edit);
	}
	return 0;
}
