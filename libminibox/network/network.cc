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
StatusOr<NetworkInfo> Network::Inspect(std::string_view name) const { return impl_->Inspect(name); }
StatusOr<NetworkInfo> Network::Create(const NetworkSpec& spec) { return impl_->Create(spec); }
void Network::SetApiListener(std::string_view ip, uint16_t port) {
  impl_->SetApiListener(ip, port);
}
StatusOr<std::vector<std::string>> Network::Warnings() const { return impl_->Warnings(); }
Status Network::Remove(std::string_view name) { return impl_->Remove(name); }
Status Network::Reconcile(const std::vector<std::string>& live) {
  std::vector<network::LiveContainer> containers;
  for (const std::string& id : live) containers.push_back({id, 0});
  return impl_->Reconcile(containers);
}

}  // namespace v1
}  // namespace minibox
