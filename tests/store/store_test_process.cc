// SPDX-License-Identifier: Apache-2.0
// Another process that uses a data root, for tests of several at once and of sudden death.
//   register <root> <prefix> <count>   registers that many names, one after the other
//   hold <root>                        begins everything that has an owner, then waits
//   churn <root>                       changes everything, for ever; a byte per change on stdout
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "core/check.h"
#include "core/strings.h"
#include "minibox/store.h"
#include "oci/digest.h"
#include "oci/manifest.h"
#include "oci/media_types.h"
#include "store/blob_store.h"
#include "store/leases.h"
#include "store/references.h"
#include "store/snapshots.h"
#include "store/volumes.h"

namespace minibox::store {
namespace {

void Say(char c) { MBX_CHECK(write(STDOUT_FILENO, &c, 1) == 1); }

oci::Descriptor PutManifest(const BlobStore& blobs, std::string_view mark) {
  const std::string config =
      core::StrCat(R"({"architecture":"amd64","os":"linux","config":{"Labels":{"mark":")", mark,
                   R"("}},"rootfs":{"type":"layers","diff_ids":[]}})");
  oci::Manifest manifest{{std::string(oci::kOciConfig), *blobs.Put(config), config.size()}};
  const std::string text = oci::SerializeManifest(manifest);
  return {std::string(oci::kOciManifest), *blobs.Put(text), text.size()};
}

int Register(const std::shared_ptr<DataRoot>& root, const std::string& prefix, int count) {
  const BlobStore blobs(root);
  const References references(root);
  for (int i = 0; i < count; ++i) {
    const oci::Descriptor manifest = PutManifest(blobs, core::StrCat(prefix, i));
    const auto own = ImageRef::Parse(core::StrCat(prefix, ":", i));
    const auto shared = ImageRef::Parse(core::StrCat("shared:", i));
    MBX_CHECK(references.Register(manifest, {*own, *shared}).ok());
  }
  return 0;
}

int Hold(const std::shared_ptr<DataRoot>& root) {
  auto operation = root->NewOperation("held");
  MBX_CHECK(operation.ok() && operation->dir().MakeDirs("a/b", 0700).ok());
  auto writer = BlobStore(root).NewBlob();
  MBX_CHECK(writer.ok() && writer->Write("half a blob").ok());
  auto lease = Leases(root).Acquire("held");
  MBX_CHECK(lease.ok() && lease->AddBlob(oci::DigestOf("x")).ok());
  const auto key = root->LockKey("held");
  MBX_CHECK(key.ok());
  Say('!');
  while (true) pause();
}

int Churn(const std::shared_ptr<DataRoot>& root) {
  const BlobStore blobs(root);
  const References references(root);
  const Snapshots snapshots(root);
  const Volumes volumes(root);
  const Leases leases(root);
  for (int i = 0;; ++i) {
    auto lease = leases.Acquire("churn");
    MBX_CHECK(lease.ok());
    const oci::Descriptor manifest = PutManifest(blobs, core::StrCat("churn", i % 50));
    MBX_CHECK(lease->AddBlob(manifest.digest).ok());
    Say('b');
    MBX_CHECK(
        references.Register(manifest, {*ImageRef::Parse(core::StrCat("churn:", i % 7))}).ok());
    Say('r');
    const std::string volume = core::StrCat("v", i % 5);
    MBX_CHECK(volumes.Create(volume, {{"i", std::to_string(i)}}).ok());
    if (i % 5 == 4) MBX_CHECK(volumes.Remove("v0").ok());
    Say('v');
    auto operation = root->NewOperation("churn");
    MBX_CHECK(operation.ok() && operation->dir().MakeDirs("tree/deep", 0755).ok());
    const std::string key(oci::DigestOf(std::to_string(i % 9)).hex());
    MBX_CHECK(snapshots.Publish(key, *operation, "tree", {.instruction = "RUN x"}).ok());
    if (i % 3 == 2) MBX_CHECK(snapshots.Remove(key).ok());
    Say('s');
  }
}

int Main(int argc, char** argv) {
  if (argc < 3) return 2;
  const std::string_view command = argv[1];
  auto root = DataRoot::Open(argv[2], /*create=*/true);
  MBX_CHECK(root.ok());
  if (command == "register" && argc == 5) return Register(*root, argv[3], std::atoi(argv[4]));
  if (command == "hold") return Hold(*root);
  if (command == "churn") return Churn(*root);
  return 2;
}

}  // namespace
}  // namespace minibox::store

int main(int argc, char** argv) { return minibox::store::Main(argc, argv); }
