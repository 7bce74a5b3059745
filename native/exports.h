#pragma once
#include <napi.h>

// Adds one plain function to the addon's exports.
template <Napi::Value (*callback)(const Napi::CallbackInfo&)>
void ExportFunction(Napi::Env env, Napi::Object exports, const char* name) {
  exports.DefineProperty(Napi::PropertyDescriptor::Value(
      name, Napi::Function::New<callback>(env, name), napi_enumerable));
}
