#include "idle.h"

void Idle::Init(Napi::Env env, Napi::Object exports) {
  Napi::Function constructor =
      DefineClass(env, "Idle", {InstanceMethod<&Idle::Start>("start"), InstanceMethod<&Idle::Stop>("stop")});
  exports.DefineProperty(Napi::PropertyDescriptor::Value("Idle", constructor, napi_enumerable));
}

Idle::Idle(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Idle>(info) {
  if (!idle_.Open(info.Env(), this, "uv_idle_init", nullptr, uv_idle_init)) return;
  uv_unref(reinterpret_cast<uv_handle_t*>(idle_.get()));
}

void Idle::Start(const Napi::CallbackInfo&) {
  if (idle_.get() != nullptr) uv_idle_start(idle_.get(), [](uv_idle_t*) {});
}

void Idle::Stop(const Napi::CallbackInfo&) {
  if (idle_.get() != nullptr) uv_idle_stop(idle_.get());
}
