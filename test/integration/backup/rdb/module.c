/* A module whose values, whose own data and, on Redis 8.6, whose notes on keys are in RDB files: each of the marks that a
 * module can write is in them. It declares the few functions of the module API that it uses by itself
 * (https://redis.io/docs/latest/develop/reference/modules/modules-api-ref/): no header is needed. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct Ctx Ctx;
typedef struct String String;
typedef struct Key Key;
typedef struct IO IO;
typedef struct Type Type;
typedef struct Digest Digest;
typedef int (*CommandFunction)(Ctx *ctx, String **argv, int argc);

typedef struct {
  uint64_t version;
  void *(*load)(IO *, int);
  void (*save)(IO *, void *);
  void (*rewrite)(void *, String *, void *);
  size_t (*usage)(const void *);
  void (*digest)(Digest *, void *);
  void (*free)(void *);
  int (*loadOwn)(IO *, int, int);
  void (*saveOwn)(IO *, int);
  int whenOwn;
  void *others[9];
} TypeMethods;

typedef struct {
  uint64_t version, flags, reset;
  void *before[5];
  int (*load)(IO *, uint64_t *, int);
  void (*save)(IO *, void *, uint64_t *);
  void *after[4];
} NoteMethods;

static void *(*Alloc)(size_t);
static void (*Free)(void *);
static int (*SetModuleAttribs)(Ctx *, const char *, int, int);
static int (*CreateCommand)(Ctx *, const char *, CommandFunction, const char *, int, int, int);
static int (*WrongArity)(Ctx *);
static int (*ReplyWithSimpleString)(Ctx *, const char *);
static int (*ReplyWithError)(Ctx *, const char *);
static int (*StringToLongLong)(const String *, long long *);
static Key *(*OpenKey)(Ctx *, String *, int);
static void (*CloseKey)(Key *);
static Type *(*CreateDataType)(Ctx *, const char *, int, TypeMethods *);
static int (*SetValue)(Key *, Type *, void *);
static void (*SaveUnsigned)(IO *, uint64_t);
static uint64_t (*LoadUnsigned)(IO *);
static void (*SaveSigned)(IO *, int64_t);
static int64_t (*LoadSigned)(IO *);
static void (*SaveStringBuffer)(IO *, const char *, size_t);
static char *(*LoadStringBuffer)(IO *, size_t *);
static void (*SaveDouble)(IO *, double);
static double (*LoadDouble)(IO *);
static void (*SaveFloat)(IO *, float);
static float (*LoadFloat)(IO *);
static void (*DigestAddLongLong)(Digest *, long long);
static int (*CreateKeyMetaClass)(Ctx *, const char *, int, NoteMethods *);
static int (*SetKeyMeta)(int, Key *, uint64_t);

enum { OK = 0, READ = 1, WRITE = 2, API_VERSION = 1, BEFORE_KEYS = 1, AFTER_KEYS = 2, TYPE_METHODS = 3 };

static Type *type;
static int noteClass = -1;

static void save(IO *io, void *value) {
  int64_t number = *(int64_t *)value;
  char text[300];
  memset(text, 'm', sizeof(text));
  SaveSigned(io, number);
  SaveUnsigned(io, (uint64_t)number * 1000000007u);
  SaveStringBuffer(io, text, (size_t)(number & 255));
  SaveFloat(io, (float)number);
  SaveDouble(io, (double)number / 3);
}

static void *load(IO *io, int version) {
  (void)version;
  int64_t *value = Alloc(sizeof(*value));
  *value = LoadSigned(io);
  LoadUnsigned(io);
  Free(LoadStringBuffer(io, NULL));
  LoadFloat(io);
  LoadDouble(io);
  return value;
}

static void rewrite(void *aof, String *key, void *value) { (void)aof, (void)key, (void)value; }
static void digest(Digest *to, void *value) { DigestAddLongLong(to, *(int64_t *)value); }
static void release(void *value) { Free(value); }

static void saveOwn(IO *io, int when) {
  SaveUnsigned(io, (uint64_t)when);
  SaveStringBuffer(io, "own", 3);
  SaveDouble(io, 0.5);
}

static int loadOwn(IO *io, int version, int when) {
  (void)version, (void)when;
  LoadUnsigned(io);
  Free(LoadStringBuffer(io, NULL));
  LoadDouble(io);
  return OK;
}

static void saveNote(IO *io, void *value, uint64_t *note) {
  (void)value;
  SaveUnsigned(io, *note);
  SaveStringBuffer(io, "note", 4);
}

static int loadNote(IO *io, uint64_t *note, int version) {
  (void)version;
  *note = LoadUnsigned(io);
  Free(LoadStringBuffer(io, NULL));
  return 1;
}

/* RDB.PUT key number: sets a value of the module. */
static int put(Ctx *ctx, String **argv, int argc) {
  long long number;
  if (argc != 3) return WrongArity(ctx);
  if (StringToLongLong(argv[2], &number) != OK) return ReplyWithError(ctx, "ERR no number");
  int64_t *value = Alloc(sizeof(*value));
  *value = number;
  Key *key = OpenKey(ctx, argv[1], READ | WRITE);
  SetValue(key, type, value);
  CloseKey(key);
  return ReplyWithSimpleString(ctx, "OK");
}

/* RDB.NOTE key number: notes it about any key; an error where the server has no notes. */
static int note(Ctx *ctx, String **argv, int argc) {
  long long number;
  if (argc != 3) return WrongArity(ctx);
  if (noteClass < 0 || StringToLongLong(argv[2], &number) != OK) return ReplyWithError(ctx, "ERR no notes");
  Key *key = OpenKey(ctx, argv[1], READ | WRITE);
  int done = SetKeyMeta(noteClass, key, (uint64_t)number);
  CloseKey(key);
  return done == OK ? ReplyWithSimpleString(ctx, "OK") : ReplyWithError(ctx, "ERR not noted");
}

int RedisModule_OnLoad(Ctx *ctx, String **argv, int argc) {
  (void)argv;
  (void)argc;
  /* The context begins with the function that gives all others. */
  int (*get)(const char *, void *) = (int (*)(const char *, void *))((void **)ctx)[0];
  get("RedisModule_Alloc", &Alloc);
  get("RedisModule_Free", &Free);
  get("RedisModule_SetModuleAttribs", &SetModuleAttribs);
  get("RedisModule_CreateCommand", &CreateCommand);
  get("RedisModule_WrongArity", &WrongArity);
  get("RedisModule_ReplyWithSimpleString", &ReplyWithSimpleString);
  get("RedisModule_ReplyWithError", &ReplyWithError);
  get("RedisModule_StringToLongLong", &StringToLongLong);
  get("RedisModule_OpenKey", &OpenKey);
  get("RedisModule_CloseKey", &CloseKey);
  get("RedisModule_CreateDataType", &CreateDataType);
  get("RedisModule_ModuleTypeSetValue", &SetValue);
  get("RedisModule_SaveUnsigned", &SaveUnsigned);
  get("RedisModule_LoadUnsigned", &LoadUnsigned);
  get("RedisModule_SaveSigned", &SaveSigned);
  get("RedisModule_LoadSigned", &LoadSigned);
  get("RedisModule_SaveStringBuffer", &SaveStringBuffer);
  get("RedisModule_LoadStringBuffer", &LoadStringBuffer);
  get("RedisModule_SaveDouble", &SaveDouble);
  get("RedisModule_LoadDouble", &LoadDouble);
  get("RedisModule_SaveFloat", &SaveFloat);
  get("RedisModule_LoadFloat", &LoadFloat);
  get("RedisModule_DigestAddLongLong", &DigestAddLongLong);
  get("RedisModule_CreateKeyMetaClass", &CreateKeyMetaClass);
  get("RedisModule_SetKeyMeta", &SetKeyMeta);
  SetModuleAttribs(ctx, "rdb", 1, API_VERSION);
  TypeMethods methods = {.version = TYPE_METHODS, .load = load, .save = save, .rewrite = rewrite, .digest = digest,
    .free = release, .loadOwn = loadOwn, .saveOwn = saveOwn, .whenOwn = BEFORE_KEYS | AFTER_KEYS};
  type = CreateDataType(ctx, "forge-rdb", 1, &methods);
  if (type == NULL) return 1;
  if (CreateKeyMetaClass != NULL) {
    NoteMethods notes = {.version = 1, .load = loadNote, .save = saveNote};
    noteClass = CreateKeyMetaClass(ctx, "forg", 1, &notes);
  }
  if (CreateCommand(ctx, "rdb.put", put, "write deny-oom", 1, 1, 1) != OK) return 1;
  return CreateCommand(ctx, "rdb.note", note, "write", 1, 1, 1);
}
