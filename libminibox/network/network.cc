// SPDX-License-Identifier: Apache-2.0
#include "minibox/network.h"

#include <utility>

#include "core/status_macros.h"
#include "network/network_impl.h"

namespace minibox {
inline namespace v1 {

Network::Network(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

StatusOr<Network> Network::Open(const NetworkOptions& options) {
  MBX_ASSIGN_OR_RETURN(std::shared_ptr<Impl> impl, Impl::Open(options));
  return Network(std::move(impl));
}

StatusOr<NetworkInfo> Network::EnsureDefault() { return impl_->EnsureDefault(); }
StatusOr<std::vector<NetworkInfo>> Network::List() const { return impl_->List(); }
Status Network::Remove(std::string_view name) { return impl_->Remove(name); }
Status Network::Reconcile(const std::vector<std::string>& live) { return impl_->Reconcile(live); }

}  // namespace v1
}  // namespace minibox
