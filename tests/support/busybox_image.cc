// SPDX-License-Identifier: Apache-2.0
#include "support/busybox_image.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/errors.h"
#include "core/fd.h"
#include "core/file.h"
#include "core/sha256.h"
#include "core/status_macros.h"
#include "core/strings.h"
#include "oci/digest.h"
#include "oci/manifest.h"
#include "oci/media_types.h"

namespace minibox::testing {
namespace {

constexpr size_t kMaxBusybox = 16u << 20;
constexpr const char* kApplets[] = {
    "awk",     "cat",      "chmod",    "chown",      "cp",    "cut",      "dd",     "df",
    "dirname", "echo",     "env",      "false",      "find",  "grep",     "head",   "hostname",
    "id",      "ifconfig", "ip",       "kill",       "ln",    "ls",       "mkdir",  "mkfifo",
    "mknod",   "mount",    "mv",       "nc",         "nproc", "nslookup", "ping",   "printf",
    "ps",      "pwd",      "readlink", "rm",         "rmdir", "route",    "sed",    "seq",
    "sh",      "sleep",    "sort",     "stat",       "tail",  "tee",      "test",   "time",
    "timeout", "top",      "touch",    "tr",         "true",  "tty",      "umount", "uname",
    "unshare", "usleep",   "wc",       "wget",       "who",   "xargs",    "yes",    "setsid",
    "sysctl",  "chroot",   "sync",     "mountpoint", "nohup"};

StatusOr<std::string> LayerTar(const BusyboxImage& image) {
  std::string busybox;
  for (const char* path : {"/bin/busybox", "/usr/bin/busybox"}) {
    auto read = core::ReadFileAt(AT_FDCWD, path, kMaxBusybox);
    if (!read.ok()) continue;
    busybox = std::move(*read);
    break;
  }
  if (busybox.empty()) return core::NotFound("", "busybox-static is not installed");
  TarBuilder tar;
  tar.Dir("bin/").File("bin/busybox", busybox, 0755);
  for (const char* applet : kApplets) tar.Symlink(core::StrCat("bin/", applet), "busybox");
  tar.Dir("etc/");
  tar.File("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nwww:x:1000:1000::/home/www:/bin/sh\n");
  tar.File("etc/group", "root:x:0:\nwww:x:1000:\nextra:x:2000:www\n");
  tar.Dir("tmp/", 01777).Dir("root/", 0700).Dir("data/").File("data/seed", "from the image\n");
  for (const TarHeader& entry : image.entries) tar.Add(entry);
  return tar.Take();
}

}  // namespace

StatusOr<ImageInfo> AddBusyboxImage(Store& store, const BusyboxImage& image) {
  MBX_ASSIGN_OR_RETURN(const std::string layer, LayerTar(image));
  const Digest layer_digest = oci::DigestOf(layer);
  oci::ImageConfig config = image.config;
  config.created = "2026-01-01T00:00:00Z";
  config.platform = oci::HostPlatform();
  if (config.cmd.empty() && config.entrypoint.empty()) config.cmd = {"sh"};
  if (config.env.empty()) config.env = {"PATH=/bin"};
  config.diff_ids = {layer_digest};
  config.history = {{config.created, "busybox", "", false}};
  const std::string config_text = oci::SerializeImageConfig(config);
  const Digest config_digest = oci::DigestOf(config_text);
  const oci::Manifest manifest{
      .config = {std::string(oci::kOciConfig), config_digest, config_text.size()},
      .layers = {{std::string(oci::kOciLayerTar), layer_digest, layer.size()}}};
  const std::string manifest_text = oci::SerializeManifest(manifest);
  const Digest manifest_digest = oci::DigestOf(manifest_text);
  oci::Descriptor named{std::string(oci::kOciManifest), manifest_digest, manifest_text.size()};
  named.platform = config.platform;
  named.annotations = {{"org.opencontainers.image.ref.name", image.name}};
  const oci::Index index{.manifests = {named}};

  TarBuilder tar;
  tar.File("oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
  tar.File("index.json", oci::SerializeIndex(index));
  const std::string blobs = "blobs/sha256/";
  tar.Dir("blobs/").Dir(blobs);
  tar.File(core::StrCat(blobs, manifest_digest.hex()), manifest_text);
  tar.File(core::StrCat(blobs, config_digest.hex()), config_text);
  tar.File(core::StrCat(blobs, layer_digest.hex()), layer);

  const core::Fd file(memfd_create("image", MFD_CLOEXEC));
  if (!file.valid()) return core::SysError("memfd_create", "image");
  MBX_RETURN_IF_ERROR(core::WriteAll(file.get(), tar.Take()));
  if (lseek(file.get(), 0, SEEK_SET) != 0) return core::SysError("lseek", "image");
  MBX_ASSIGN_OR_RETURN(const std::vector<ImageInfo> loaded, store.Load(file.get()));
  if (loaded.size() != 1) return core::Internal("the archive does not hold one image");
  return loaded.front();
}

}  // namespace minibox::testing
