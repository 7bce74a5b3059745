#pragma once
#include <napi.h>

#include <unordered_set>

#include "sentinel.h"

struct Mapping;

// The mappings of an environment that its application may have. They end with it,
// but for those that were moved to another ArrayBuffer: that may be another
// environment's by now, and Node does not tell.
class LiveMappings : public Sentinel {
 public:
  explicit LiveMappings(Napi::Env env) : Sentinel(env) {}

  // Before the application gets it.
  void Add(Mapping* mapping);
  void Remove(Mapping* mapping) { mappings_.erase(mapping); }

 private:
  void BuffersEnd() override;

  std::unordered_set<Mapping*> mappings_;
};
