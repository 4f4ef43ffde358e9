// SPDX-License-Identifier: Apache-2.0
// Pull, push and credentials.
#include "handles.h"
#include "wire/image.h"
#include "wire/transfer.h"

using namespace minibox::c;  // NOLINT: this is its implementation
using minibox::Credentials;
using minibox::ImageRef;
using minibox::Registry;
using minibox::RegistryOptions;
using minibox::Status;
using minibox::StatusOr;
namespace wire = minibox::wire;

namespace {

StatusOr<RegistryOptions> ReadOptions(const minibox_registry_options* options) {
  MBX_ASSIGN_OR_RETURN(const minibox_registry_options known, Options(options));
  RegistryOptions wanted;
  wanted.auth_file = OptionalText(known.auth_file);
  MBX_ASSIGN_OR_RETURN(const auto mirrors, List(known.mirrors, known.mirror_count, "mirrors"));
  for (const std::string& mirror : mirrors) {
    const size_t equals = mirror.find('=');
    if (equals == std::string::npos) return Bad("mirrors", "must be <registry>=<URL>");
    wanted.mirrors.push_back({mirror.substr(0, equals), mirror.substr(equals + 1)});
  }
  MBX_ASSIGN_OR_RETURN(wanted.insecure, List(known.insecure, known.insecure_count, "insecure"));
  wanted.https_proxy = OptionalText(known.https_proxy);
  wanted.http_proxy = OptionalText(known.http_proxy);
  wanted.no_proxy = OptionalText(known.no_proxy);
  wanted.ca_file = OptionalText(known.ca_file);
  if (known.max_parallel_layers != 0) wanted.max_parallel_layers = known.max_parallel_layers;
  return wanted;
}

StatusOr<std::optional<Credentials>> ReadCredentials(const minibox_credentials* credentials) {
  if (credentials == nullptr) return std::optional<Credentials>();
  MBX_ASSIGN_OR_RETURN(const minibox_credentials known, Options(credentials, "credentials"));
  return std::optional(Credentials{std::string(OptionalText(known.username)),
                                   std::string(OptionalText(known.password)),
                                   std::string(OptionalText(known.identity_token)),
                                   std::string(OptionalText(known.registry_token))});
}

StatusOr<Credentials> NeedCredentials(const minibox_credentials* credentials) {
  MBX_RETURN_IF_ERROR(Need(credentials, "credentials"));
  MBX_ASSIGN_OR_RETURN(const auto read, ReadCredentials(credentials));
  return *read;
}

minibox::TransferLogFn LinesTo(Ending& ending, minibox_data_fn line, void* user) {
  if (line == nullptr) return {};
  return [&ending, line, user](std::string_view text) {
    // The operation ends by the stop_token.
    (void)DataTo(ending, line, user, std::string(text));
  };
}

}  // namespace

minibox_error* minibox_registry_open(minibox_store* store, const minibox_registry_options* options,
                                     minibox_registry** registry) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(const minibox::Store* const it, Value(store, "store"));
    MBX_RETURN_IF_ERROR(Need(registry, "registry"));
    MBX_ASSIGN_OR_RETURN(const RegistryOptions wanted, ReadOptions(options));
    MBX_ASSIGN_OR_RETURN(Registry opened, Registry::Open(*it, wanted));
    return Wrap(std::move(opened), registry);
  });
}

void minibox_registry_free(minibox_registry* registry) { Free(registry); }

minibox_error* minibox_registry_pull(minibox_registry* registry, const char* image,
                                     const minibox_transfer_options* options,
                                     minibox_cancel* cancel, char** image_json) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(Registry* const it, Value(registry, "registry"));
    MBX_ASSIGN_OR_RETURN(const std::string_view name, Text(image, "image"));
    MBX_ASSIGN_OR_RETURN(const minibox_transfer_options known, Options(options));
    if (known.as != nullptr) return Bad("as", "is for pushing");
    MBX_ASSIGN_OR_RETURN(const ImageRef reference, ImageRef::Parse(name));
    minibox::PullOptions wanted;
    if (known.platform != nullptr) {
      MBX_ASSIGN_OR_RETURN(wanted.platform, wire::ParsePlatformText(known.platform));
    }
    MBX_ASSIGN_OR_RETURN(wanted.credentials, ReadCredentials(known.credentials));
    MBX_ENDING(ending, cancel);
    wanted.log = LinesTo(ending, known.line, known.user);
    wanted.progress = ProgressTo(ending, known.progress, known.user);
    const auto pulled = it->Pull(reference, wanted, ending.token());
    if (!pulled.ok()) return ending.Result(pulled.status());
    return Give(wire::ToJson(*pulled), image_json);
  });
}

minibox_error* minibox_registry_push(minibox_registry* registry, const char* image,
                                     const minibox_transfer_options* options,
                                     minibox_cancel* cancel) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(Registry* const it, Value(registry, "registry"));
    MBX_ASSIGN_OR_RETURN(const std::string_view name, Text(image, "image"));
    MBX_ASSIGN_OR_RETURN(const minibox_transfer_options known, Options(options));
    if (known.platform != nullptr) return Bad("platform", "is for pulling");
    minibox::PushOptions wanted;
    if (known.as != nullptr) {
      auto as = ImageRef::Parse(known.as);
      if (!as.ok()) return as.status().WithField("as");
      wanted.as = std::move(*as);
    }
    MBX_ASSIGN_OR_RETURN(wanted.credentials, ReadCredentials(known.credentials));
    MBX_ENDING(ending, cancel);
    wanted.log = LinesTo(ending, known.line, known.user);
    wanted.progress = ProgressTo(ending, known.progress, known.user);
    return ending.Result(it->Push(name, wanted, ending.token()));
  });
}

minibox_error* minibox_credentials_check(const char* host, const minibox_credentials* credentials,
                                         const minibox_registry_options* options,
                                         minibox_cancel* cancel) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(const std::string_view registry, Text(host, "host"));
    MBX_ASSIGN_OR_RETURN(const Credentials given, NeedCredentials(credentials));
    MBX_ASSIGN_OR_RETURN(const RegistryOptions wanted, ReadOptions(options));
    MBX_ENDING(ending, cancel);
    return Registry::CheckCredentials(registry, given, wanted, ending.token());
  });
}

minibox_error* minibox_credentials_save(const char* file, const char* host,
                                        const minibox_credentials* credentials) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(const std::string_view path, Text(file, "file"));
    MBX_ASSIGN_OR_RETURN(const std::string_view registry, Text(host, "host"));
    MBX_ASSIGN_OR_RETURN(const Credentials given, NeedCredentials(credentials));
    return minibox::SaveCredentials(path, registry, given);
  });
}

minibox_error* minibox_credentials_remove(const char* file, const char* host, int* removed) {
  return Call([&]() -> Status {
    MBX_ASSIGN_OR_RETURN(const std::string_view path, Text(file, "file"));
    MBX_ASSIGN_OR_RETURN(const std::string_view registry, Text(host, "host"));
    MBX_ASSIGN_OR_RETURN(const bool were_there, minibox::RemoveCredentials(path, registry));
    if (removed != nullptr) *removed = were_there ? 1 : 0;
    return Status();
  });
}
