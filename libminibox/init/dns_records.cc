// SPDX-License-Identifier: Apache-2.0
#include "init/dns_records.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

namespace minibox::init {
namespace {

uint32_t HashOf(const char* text) {
  uint32_t hash = 2166136261u;
  for (; *text != '\0'; ++text) hash = (hash ^ static_cast<uint8_t>(*text)) * 16777619u;
  return hash;
}

uint32_t HashOf(const uint8_t* ip) {
  const uint32_t number =
      static_cast<uint32_t>(ip[0]) << 24 | static_cast<uint32_t>(ip[1]) << 16 | ip[2] << 8 | ip[3];
  return number * 2654435761u;
}

void ToLower(char* text) {
  for (; *text != '\0'; ++text) {
    if (*text >= 'A' && *text <= 'Z') *text = static_cast<char>(*text + ('a' - 'A'));
  }
}

// The next line, ended by NUL; nullptr at the end. Lines without line end are none.
char* NextLine(char** at, const char* end) {
  char* const line = *at;
  auto* stop = static_cast<char*>(memchr(line, '\n', static_cast<size_t>(end - line)));
  if (stop == nullptr) return nullptr;
  *stop = '\0';
  *at = stop + 1;
  return line;
}

// Cuts the first word off.
char* NextWord(char** rest) {
  char* const word = *rest;
  char* const blank = strchr(word, ' ');
  if (blank == nullptr) {
    *rest = word + strlen(word);
  } else {
    *blank = '\0';
    *rest = blank + 1;
  }
  return word;
}

}  // namespace

bool ParseDnsServer(const char* text, DnsServer* server) {
  if (inet_pton(AF_INET, text, server->address) == 1) {
    server->family = AF_INET;
    return true;
  }
  server->family = AF_INET6;
  return inet_pton(AF_INET6, text, server->address) == 1;
}

void DnsRecords::Clear() {
  arena_.Release();
  networks_ = {};
  containers_ = {};
  names_ = {};
  buckets_ = nullptr;
  by_ip_ = nullptr;
  bucket_count_ = 0;
  pid_ = 0;
  internal_ = false;
}

bool DnsRecords::Parse(char* text, size_t size) {
  Clear();
  if (ParseLines(text, size)) return true;
  Clear();
  return false;
}

bool DnsRecords::ParseLines(char* text, size_t size) {
  const char* const end = text + size;
  uint32_t networks = 0, containers = 0, names = 0, servers = 0;
  for (const char* line = text; line < end;) {
    containers += *line == 'c';
    servers += *line == 'd';
    names += line + 1 < end && line[0] == 'n' && line[1] == 'a';
    networks += line + 1 < end && line[0] == 'n' && line[1] == 'e';
    const void* stop = memchr(line, '\n', static_cast<size_t>(end - line));
    if (stop == nullptr) return false;
    line = static_cast<const char*>(stop) + 1;
  }
  bucket_count_ = 16;
  while (bucket_count_ < names * 2 || bucket_count_ < containers * 2) bucket_count_ *= 2;
  networks_.data = arena_.New<DnsNetwork>(networks + 1);
  containers_.data = arena_.New<DnsContainer>(containers + 1);
  names_.data = arena_.New<DnsName>(names + 1);
  buckets_ = arena_.New<DnsName*>(bucket_count_);
  by_ip_ = arena_.New<const DnsContainer*>(bucket_count_);
  auto* next_server = arena_.New<DnsServer>(servers + 1);
  if (networks_.data == nullptr || containers_.data == nullptr || names_.data == nullptr ||
      buckets_ == nullptr || by_ip_ == nullptr || next_server == nullptr) {
    return false;
  }

  char* at = text;
  char* line = NextLine(&at, end);
  if (line == nullptr || strcmp(line, "minibox-dns 1") != 0) return false;
  DnsContainer* container = nullptr;
  while ((line = NextLine(&at, end)) != nullptr) {
    char* rest = line;
    const char* const word = NextWord(&rest);
    if (strcmp(word, "container") == 0) {
      if (networks_.size == 0) return false;
      container = &containers_.data[containers_.size];
      const char* const ip = NextWord(&rest);
      const char* const ip6 = NextWord(&rest);
      const char* const project = NextWord(&rest);
      container->id = NextWord(&rest);
      container->network = &networks_.data[networks_.size - 1];
      container->project = strcmp(project, "-") == 0 ? "" : project;
      container->name = "";
      container->servers = next_server;
      container->has_ip6 = inet_pton(AF_INET6, ip6, container->ip6) == 1;
      if (inet_pton(AF_INET, ip, container->ip) != 1) return false;
      ++containers_.size;
      uint32_t slot = HashOf(container->ip) & (bucket_count_ - 1);
      while (by_ip_[slot] != nullptr) slot = (slot + 1) & (bucket_count_ - 1);
      by_ip_[slot] = container;
    } else if (strcmp(word, "name") == 0 && container != nullptr) {
      if (strlen(rest) > kMaxDnsName) return false;
      ToLower(rest);
      if (container->name[0] == '\0') container->name = rest;
      DnsName& name = names_.data[names_.size++];
      name.name = rest;
      name.container = container;
      DnsName** const bucket = &buckets_[HashOf(rest) & (bucket_count_ - 1)];
      name.next = *bucket;
      *bucket = &name;
    } else if (strcmp(word, "dns") == 0 && container != nullptr) {
      if (ParseDnsServer(rest, next_server)) {
        ++next_server;
        ++container->server_count;
      }
    } else if (strcmp(word, "pid") == 0) {
      pid_ = atoi(rest);
    } else if (strcmp(word, "network") == 0) {
      DnsNetwork& network = networks_.data[networks_.size++];
      char* const name = NextWord(&rest);
      ToLower(name);
      network.name = name;
      network.projects = strcmp(rest, "projects") == 0;
      container = nullptr;
    } else if (strcmp(word, "internal") == 0) {
      internal_ = true;
    }
  }
  LinkNetworks();
  return true;
}

// Rings of what belongs to one container. Only few are on several networks, and those are the ones
// that are not on the first.
void DnsRecords::LinkNetworks() {
  for (DnsContainer& container : containers_) container.same = &container;
  for (DnsContainer& container : containers_) {
    if (container.network == networks_.data) continue;
    for (DnsContainer& other : containers_) {
      if (&other == &container) break;
      if (strcmp(other.id, container.id) != 0) continue;
      container.same = other.same;
      other.same = &container;
      break;
    }
  }
}

const DnsContainer* DnsRecords::FindByIp(const uint8_t* ip) const {
  if (bucket_count_ == 0) return nullptr;
  for (uint32_t slot = HashOf(ip) & (bucket_count_ - 1); by_ip_[slot] != nullptr;
       slot = (slot + 1) & (bucket_count_ - 1)) {
    if (memcmp(by_ip_[slot]->ip, ip, sizeof by_ip_[slot]->ip) == 0) return by_ip_[slot];
  }
  return nullptr;
}

const DnsContainer* DnsRecords::FindByIp6(const uint8_t* ip) const {
  for (const DnsContainer& container : containers_) {
    if (container.has_ip6 && memcmp(container.ip6, ip, sizeof container.ip6) == 0) {
      return &container;
    }
  }
  return nullptr;
}

bool DnsRecords::Sees(const DnsContainer* asker, const DnsContainer& other) const {
  if (asker == nullptr) return false;
  const DnsContainer* mine = asker;
  do {
    if (mine->network == other.network &&
        (!other.network->projects || strcmp(asker->project, other.project) == 0)) {
      return true;
    }
    mine = mine->same;
  } while (mine != asker);
  return false;
}

const DnsName* DnsRecords::Bucket(const char* name) const {
  if (bucket_count_ == 0 || name[0] == '\0') return nullptr;
  return buckets_[HashOf(name) & (bucket_count_ - 1)];
}

bool DnsRecords::Stem(const char* name, const char* network, char* stem) {
  const size_t size = strlen(name), suffix = strlen(network);
  if (suffix == 0 || size < suffix + 2) return false;
  const size_t length = size - suffix - 1;
  if (name[length] != '.' || strcmp(name + length + 1, network) != 0) return false;
  memcpy(stem, name, length);
  stem[length] = '\0';
  return true;
}

}  // namespace minibox::init
