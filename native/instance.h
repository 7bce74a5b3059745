#pragma once
#include <napi.h>

#include "block_pool.h"
#include "hidden_memory.h"
#include "live_mappings.h"

// What the addon keeps for each environment (main thread or worker).
struct Instance {
  explicit Instance(Napi::Env env)
      : hidden_memory(std::make_shared<HiddenMemory>(env)), live_mappings(std::make_shared<LiveMappings>(env)) {}

  Napi::FunctionReference descriptor_constructor;
  std::shared_ptr<BlockPool> blocks = std::make_shared<BlockPool>();
  std::shared_ptr<HiddenMemory> hidden_memory;
  std::shared_ptr<LiveMappings> live_mappings;

  static Instance* Get(Napi::Env env) { return env.GetInstanceData<Instance>(); }
};
