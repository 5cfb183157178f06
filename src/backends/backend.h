// SPDX-License-Identifier: Apache-2.0
// The backends that Carat was built with, in order of preference (backends.def), probed on first use.
#ifndef CARAT_BACKENDS_BACKEND_H
#define CARAT_BACKENDS_BACKEND_H

#include <carat/carat_backend.h>

// The backend that serves a device type (carat_device_type) and can run here, or NULL. Cheap after the first call.
const carat_backend *carat_backend_for(int32_t device_type);

bool carat_backend_built(int32_t device_type); // whether or not it can run here

// Every backend of the list, whether or not it can run here.
int carat_backend_count(void);
const carat_backend *carat_backend_at(int index); // 0 <= index < carat_backend_count()

// Probes (once) and says whether the backend can run; *why is the reason if not, and may be a remark or NULL if so.
carat_status carat_backend_probe(int index, const char **why);

// The backend of a name, whether it can run here or not; NULL if Carat was built without.
const carat_backend *carat_backend_named(const char *name);

#endif
