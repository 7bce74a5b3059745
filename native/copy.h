#pragma once
#include <napi.h>

void InitCopy(Napi::Env env, Napi::Object exports);
