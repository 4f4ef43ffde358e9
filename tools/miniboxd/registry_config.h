// SPDX-License-Identifier: Apache-2.0
// How registries are reached, from the environment (spec §2.1).
#pragma once

#include "config.h"

namespace miniboxd {

// MINIBOX_AUTH_FILE, MINIBOX_REGISTRY_MIRRORS, MINIBOX_REGISTRY_INSECURE, the proxies, and
// SSL_CERT_FILE as OpenSSL and others take it. The error reads "<VARIABLE>: <reason>".
minibox::StatusOr<minibox::RegistryOptions> ReadRegistryConfig(const Environment& environment);

}  // namespace miniboxd
