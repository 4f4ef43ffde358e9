// SPDX-License-Identifier: Apache-2.0
// `volumes` of a service, short and long form (spec §14.1).
#pragma once

#include "compose/service_reader.h"

namespace minibox::compose {

Status ReadVolumes(const ServiceContext& context, const Node& node, Service* service);

}  // namespace minibox::compose
