// SPDX-License-Identifier: Apache-2.0
#include "compose/project.h"

#include <algorithm>
#include <set>

#include "compose/fields.h"
#include "compose/service_reader.h"
#include "core/errors.h"
#include "core/status_macros.h"
#include "core/strings.h"

namespace minibox::compose {
namespace {

namespace fs = std::filesystem;
using core::StrCat;

constexpr size_t kMaxEnvFile = 1u << 20;
constexpr size_t kMaxProjectName = 64;
constexpr const char* kFileNames[] = {"minibox-compose.yaml", "minibox-compose.yml",
                                      "compose.yaml",         "compose.yml",
                                      "docker-compose.yaml",  "docker-compose.yml"};

StatusOr<fs::path> FindFile(const ComposeOptions& options) {
  std::error_code error;
  if (!options.file.empty()) {
    const fs::path file = fs::absolute(options.file, error).lexically_normal();
    if (error || !fs::exists(file, error)) {
      return core::NotFound("compose_file_not_found",
                            StrCat("there is no file '", options.file.string(), "'"));
    }
    return file;
  }
  for (const char* name : kFileNames) {
    const fs::path file = fs::absolute(options.directory / name, error).lexically_normal();
    if (!error && fs::is_regular_file(file, error)) return file;
  }
  return core::NotFound("compose_file_not_found",
                        StrCat("there is no compose file in '", options.directory.string(),
                               "': create minibox-compose.yaml, or name one with -f"));
}

// Replaces variables in all values, in place.
class VariableReplacer {
 public:
  VariableReplacer(const Fields& fields, const Lookup& lookup) : fields_(fields), lookup_(lookup) {}

  Status Replace(Node& node) {
    if (node.kind == Node::Kind::kScalar && node.text.find('$') != std::string::npos) {
      std::vector<std::string> unset;
      auto text = Interpolate(node.text, lookup_, &unset);
      if (!text.ok()) return fields_.Error(node.at, text.status().message());
      for (const std::string& name : unset) {
        if (warned_.insert(name).second) {
          fields_.Warn(node.at, StrCat("variable ", name, " is not set; it is empty"));
        }
      }
      node.text = std::move(*text);
      if (node.plain && node.text.empty()) node.plain = false;
    }
    for (Node& item : node.items) MBX_RETURN_IF_ERROR(Replace(item));
    for (Member& member : node.members) MBX_RETURN_IF_ERROR(Replace(member.value));
    return Status();
  }

 private:
  const Fields& fields_;
  const Lookup& lookup_;
  std::set<std::string> warned_;
};

// What of a service makes another container, with keys in one order.
Node Sorted(Node node) {
  std::sort(node.members.begin(), node.members.end(),
            [](const Member& a, const Member& b) { return a.key < b.key; });
  for (Member& member : node.members) member.value = Sorted(std::move(member.value));
  for (Node& item : node.items) item = Sorted(std::move(item));
  return node;
}

bool IsKey(std::string_view text) {
  const auto is_word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  };
  return !text.empty() && text.size() <= 63 && std::all_of(text.begin(), text.end(), is_word) &&
         text[0] != '-' && text[0] != '.';
}

class ProjectReader {
 public:
  ProjectReader(const ComposeOptions& options, fs::path file)
      : options_(options),
        fields_(file.filename().string(), &project_.warnings),
        environment_([this](const std::string& name) { return Environment(name); }) {
    project_.file = std::move(file);
  }
  StatusOr<Project> Read();

 private:
  std::optional<std::string> Environment(const std::string& name) const {
    if (const auto found = options_.environment.find(name); found != options_.environment.end()) {
      return found->second;
    }
    const auto found = env_file_.find(name);
    return found == env_file_.end() ? std::nullopt : std::optional(found->second);
  }
  Status ReadEnvFile();
  Status ReadName(const Node& root);
  Status ReadNetworks(const Node* node);
  Status ReadVolumes(const Node* node);
  StatusOr<std::map<std::string, fs::path>> ReadFiles(std::string_view what, const Node* node);
  Status ReadServices(const Node* node, const Node* secrets, const Node* configs);
  Status CheckName(std::string_view what, const Member& member) const;
  // `name` of a definition, else "<project>-<key>"; `external` names itself.
  StatusOr<std::string> DefinedName(const Member& member, bool* external) const;

  const ComposeOptions& options_;
  Project project_;
  const Fields fields_;
  Variables env_file_;
  const Lookup environment_;
};

Status ProjectReader::ReadEnvFile() {
  const bool given = !options_.env_file.empty();
  const fs::path path = given ? options_.env_file : project_.file.parent_path() / ".env";
  const auto text = ReadProjectFile(path, kMaxEnvFile);
  if (!text.ok()) {
    if (!given && text.status().code() == StatusCode::kNotFound) return Status();
    return text.status();
  }
  const Lookup outside = [this](const std::string& name) -> std::optional<std::string> {
    const auto found = options_.environment.find(name);
    return found == options_.environment.end() ? std::nullopt : std::optional(found->second);
  };
  MBX_ASSIGN_OR_RETURN(env_file_, ParseEnvFile(*text, path.string(), outside));
  return Status();
}

Status ProjectReader::ReadName(const Node& root) {
  std::string name = options_.project;
  if (const Node* own = root.Find("name"); name.empty() && own != nullptr) {
    MBX_ASSIGN_OR_RETURN(name, fields_.Text("name", *own));
  }
  if (name.empty()) name = project_.file.parent_path().filename().string();
  project_.name = ProjectName(name);
  if (project_.name.empty()) {
    return core::InvalidArgument(
        "project", StrCat("'", core::EscapeControl(name), "' leaves no name; give one with -p"));
  }
  if (project_.name.size() > kMaxProjectName) {
    return core::InvalidArgument("project", "has more than 64 characters");
  }
  return Status();
}

Status ProjectReader::CheckName(std::string_view what, const Member& member) const {
  if (IsKey(member.key)) return Status();
  return fields_.Error(
      member.at, StrCat("'", core::EscapeControl(member.key), "' cannot be the name of a ", what,
                        ": letters, digits, '_', '-', '.'"));
}

StatusOr<std::string> ProjectReader::DefinedName(const Member& member, bool* external) const {
  if (const Node* flag = member.value.Find("external"); flag != nullptr) {
    MBX_ASSIGN_OR_RETURN(*external, fields_.Bool("external", *flag));
  }
  if (const Node* name = member.value.Find("name"); name != nullptr) {
    return fields_.Text("name", *name);
  }
  return *external ? member.key : StrCat(project_.name, "-", member.key);
}

Status ProjectReader::ReadNetworks(const Node* node) {
  if (node != nullptr) {
    MBX_ASSIGN_OR_RETURN(const auto* members, fields_.Map("networks", *node));
    for (const Member& member : *members) {
      MBX_RETURN_IF_ERROR(CheckName("network", member));
      NetworkDefinition network{.key = member.key};
      MBX_RETURN_IF_ERROR(fields_.Map(StrCat("networks.", member.key), member.value).status());
      fields_.WarnUnknown(member.value, "of a network", {"internal", "ipam", "external", "name"});
      MBX_ASSIGN_OR_RETURN(network.name, DefinedName(member, &network.external));
      if (const Node* internal = member.value.Find("internal"); internal != nullptr) {
        MBX_ASSIGN_OR_RETURN(network.internal, fields_.Bool("internal", *internal));
      }
      if (const Node* ipam = member.value.Find("ipam"); ipam != nullptr) {
        fields_.WarnUnknown(*ipam, "of ipam", {"config"});
        const Node* const config = ipam->Find("config");
        if (config != nullptr && config->kind == Node::Kind::kList && !config->items.empty()) {
          fields_.WarnUnknown(config->items[0], "of ipam.config", {"subnet"});
          if (const Node* subnet = config->items[0].Find("subnet"); subnet != nullptr) {
            MBX_ASSIGN_OR_RETURN(network.subnet, fields_.Text("subnet", *subnet));
          }
          if (config->items.size() > 1) fields_.Warn(config->at, "only the first subnet is used");
        }
      }
      project_.networks.push_back(std::move(network));
    }
  }
  if (project_.FindNetwork("default") == nullptr) {
    project_.networks.push_back({.key = "default", .name = StrCat(project_.name, "-default")});
  }
  return Status();
}

Status ProjectReader::ReadVolumes(const Node* node) {
  if (node == nullptr) return Status();
  MBX_ASSIGN_OR_RETURN(const auto* members, fields_.Map("volumes", *node));
  for (const Member& member : *members) {
    MBX_RETURN_IF_ERROR(CheckName("volume", member));
    MBX_RETURN_IF_ERROR(fields_.Map(StrCat("volumes.", member.key), member.value).status());
    fields_.WarnUnknown(member.value, "of a volume", {"external", "name"});
    VolumeDefinition volume{.key = member.key};
    MBX_ASSIGN_OR_RETURN(volume.name, DefinedName(member, &volume.external));
    project_.volumes.push_back(std::move(volume));
  }
  return Status();
}

StatusOr<std::map<std::string, fs::path>> ProjectReader::ReadFiles(std::string_view what,
                                                                   const Node* node) {
  std::map<std::string, fs::path> files;
  if (node == nullptr) return files;
  MBX_ASSIGN_OR_RETURN(const auto* members, fields_.Map(what, *node));
  for (const Member& member : *members) {
    fields_.WarnUnknown(member.value, StrCat("of ", what), {"file"});
    const Node* const file = member.value.Find("file");
    if (file == nullptr) {
      return fields_.Error(member.at, StrCat(what, ".", member.key, " needs a file"));
    }
    MBX_ASSIGN_OR_RETURN(const std::string text, fields_.Text("file", *file));
    const fs::path path = (project_.file.parent_path() / text).lexically_normal();
    std::error_code error;
    if (!fs::is_regular_file(path, error)) {
      return fields_.Error(file->at, StrCat("there is no file '", path.string(), "'"));
    }
    files[member.key] = path;
  }
  return files;
}

Status ProjectReader::ReadServices(const Node* node, const Node* secrets, const Node* configs) {
  if (node == nullptr) return fields_.Error({}, "there are no services in the file");
  ServiceContext context{.fields = fields_,
                         .directory = project_.file.parent_path(),
                         .home = options_.home,
                         .environment = environment_,
                         .project = project_};
  MBX_ASSIGN_OR_RETURN(context.secrets, ReadFiles("secrets", secrets));
  MBX_ASSIGN_OR_RETURN(context.configs, ReadFiles("configs", configs));
  MBX_ASSIGN_OR_RETURN(const auto* members, fields_.Map("services", *node));
  for (const Member& member : *members) {
    MBX_RETURN_IF_ERROR(CheckName("service", member));
    MBX_ASSIGN_OR_RETURN(Service service, ReadService(context, member));
    Node configuration = member.value;
    std::erase_if(configuration.members, [](const Member& field) {
      return field.key == "build" || field.key == "pull_policy" || field.key == "depends_on" ||
             field.key == "profiles";
    });
    service.canonical = EmitYaml(Sorted(std::move(configuration)));
    project_.services.push_back(std::move(service));
  }
  // Where they are named, since that may be before they are defined.
  for (const Member& member : *members) {
    for (const Dependency& dependency : project_.Find(member.key)->depends_on) {
      if (project_.Find(dependency.service) == nullptr) {
        return fields_.Error(
            member.at, StrCat("service '", member.key, "' depends on '",
                              core::EscapeControl(dependency.service), "', which there is not"));
      }
    }
  }
  std::map<std::string, std::string> names;
  for (const Service& service : project_.services) {
    const auto [at, fresh] = names.emplace(service.spec.name, service.name);
    if (!fresh) {
      return fields_.Error(node->at, StrCat("services '", at->second, "' and '", service.name,
                                            "' have one container name, '", at->first, "'"));
    }
  }
  return Status();
}

StatusOr<Project> ProjectReader::Read() {
  const auto text = ReadProjectFile(project_.file, kMaxYamlBytes);
  if (!text.ok()) return text.status();
  MBX_ASSIGN_OR_RETURN(Node root, ParseYaml(*text, project_.file.filename().string()));
  MBX_RETURN_IF_ERROR(ReadEnvFile());
  MBX_RETURN_IF_ERROR(VariableReplacer(fields_, environment_).Replace(root));
  // `version` is of older forms of the file and says nothing.
  fields_.WarnUnknown(root, "at top level",
                      {"name", "version", "services", "networks", "volumes", "secrets", "configs"});
  MBX_RETURN_IF_ERROR(ReadName(root));
  MBX_RETURN_IF_ERROR(ReadNetworks(root.Find("networks")));
  MBX_RETURN_IF_ERROR(ReadVolumes(root.Find("volumes")));
  MBX_RETURN_IF_ERROR(
      ReadServices(root.Find("services"), root.Find("secrets"), root.Find("configs")));
  MBX_RETURN_IF_ERROR(CheckOrder(project_));
  project_.resolved = std::move(root);
  return std::move(project_);
}

template <typename T>
const T* FindKey(const std::vector<T>& list, std::string_view key) {
  for (const T& entry : list) {
    if (entry.key == key) return &entry;
  }
  return nullptr;
}

}  // namespace

const Service* Project::Find(std::string_view service) const {
  for (const Service& entry : services) {
    if (entry.name == service) return &entry;
  }
  return nullptr;
}

const NetworkDefinition* Project::FindNetwork(std::string_view key) const {
  return FindKey(networks, key);
}

const VolumeDefinition* Project::FindVolume(std::string_view key) const {
  return FindKey(volumes, key);
}

std::string ProjectName(std::string_view text) {
  std::string name;
  for (const char c : core::AsciiLower(text)) {
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-') name += c;
  }
  // A container's name begins with a letter or digit.
  name.erase(0, std::min(name.find_first_not_of("_-"), name.size()));
  return name;
}

StatusOr<Project> LoadProject(const ComposeOptions& options) {
  MBX_ASSIGN_OR_RETURN(fs::path file, FindFile(options));
  return ProjectReader(options, std::move(file)).Read();
}

}  // namespace minibox::compose
