// SPDX-License-Identifier: Apache-2.0
// The name server of a network, as minibox-init runs it. See dns_protocol.h.
#pragma once

namespace minibox::init {

// Reads kDnsServe from `control`. The exit status of this process; the server is another one.
int RunDnsResponder(int control);

}  // namespace minibox::init
