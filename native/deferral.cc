#include "deferral.h"

#include "error.h"
#include "exports.h"

namespace {

// reportUncaught(error): to who listens for it, or the process ends, as after a callback of the event loop. The
// stack of async ids is empty then.
Napi::Value Report(const Napi::CallbackInfo& info) {
  napi_fatal_exception(info.Env(), info[0]);
  return info.Env().Undefined();
}

}  // namespace

void Deferral::Init(Napi::Env env, Napi::Object exports) {
  ExportFunction<Report>(env, exports, "reportUncaught");
  Napi::Function constructor =
      DefineClass(env, "Deferral", {InstanceMethod<&Deferral::Schedule>("schedule")});
  exports.DefineProperty(Napi::PropertyDescriptor::Value("Deferral", constructor, napi_enumerable));
}

// new Deferral(callback)
Deferral::Deferral(const Napi::CallbackInfo& info) : Napi::ObjectWrap<Deferral>(info) {
  if (!handle_.Open(info.Env(), this, "uv_idle_init", nullptr, uv_idle_init)) return;
  callback_ = Napi::Persistent(info[0].As<Napi::Function>());
}

// schedule(): the callback is called once, in the next round of the event loop, which it keeps alive until then.
void Deferral::Schedule(const Napi::CallbackInfo&) {
  if (handle_.get() == nullptr) return;
  uv_idle_start(handle_.get(), [](uv_idle_t* idle) { LoopHandle<uv_idle_t, Deferral>::OwnerOf(idle)->OnIdle(); });
}

void Deferral::OnIdle() {
  uv_idle_stop(handle_.get());
  Napi::Env env = Env();
  Napi::HandleScope scope(env);
  napi_value result;
  ReportUncaught(env, napi_call_function(env, Value(), callback_.Value(), 0, nullptr, &result));
}
