#pragma once
#include <napi.h>

#include "error.h"

template <Napi::Value (*callback)(const Napi::CallbackInfo&)>
Napi::Value CallAndTell(const Napi::CallbackInfo& info) {
  Napi::Value result = callback(info);
  Napi::Value failure = TakeFailure(info.Env());
  return failure.IsEmpty() ? result : failure;
}

// Adds one plain function to the addon's exports. Where it fails it returns the Error.
template <Napi::Value (*callback)(const Napi::CallbackInfo&)>
void ExportFunction(Napi::Env env, Napi::Object exports, const char* name) {
  exports.DefineProperty(Napi::PropertyDescriptor::Value(
      name, Napi::Function::New<CallAndTell<callback>>(env, name), napi_enumerable));
}
