#pragma once
#include <napi.h>

#include "block_pool.h"
#include "memory.h"

// What the addon keeps for each environment (main thread or worker).
struct Instance {
  Napi::FunctionReference descriptor_constructor;
  std::shared_ptr<BlockPool> blocks = std::make_shared<BlockPool>();
  std::shared_ptr<MappingTable> mappings = std::make_shared<MappingTable>();

  static Instance* Get(Napi::Env env) { return env.GetInstanceData<Instance>(); }
};
