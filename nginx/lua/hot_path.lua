-- The hot path: which file answers a request, computed as Python does (image_cloud/request/query.py, params.py,
-- image_cloud/picture/key.py), and whether the front pool let the same token read a moment ago.
--
-- Whatever Python could read in another way, or refuse, is NO_FILE here, and the front pool answers:
-- a wrong picture is worse than a slow one. tests/nginx/test_hot_path.py holds nginx to it.

local accept = require "accept"
local base = require "resty.core.base"
local bit = require "bit"
local fallback = require "fallback"
local ffi = require "ffi"
local generations = require "generations"
local old_pictures = require "old_pictures"
local variant_name = require "variant_name"
require "resty.core.request"

-- OpenSSL 3 looks its algorithms up by name for every HMAC(), which costs as much as all else here.
ffi.cdef [[
    typedef struct { unsigned int state[28]; } image_cloud_sha256;
    int SHA256_Init(image_cloud_sha256 *context);
    int SHA256_Update(image_cloud_sha256 *context, const void *data, size_t length);
    int SHA256_Final(unsigned char *digest, image_cloud_sha256 *context);
    int access(const char *path, int mode);
    int open(const char *path, int flags);
    int close(int descriptor);
    int statx(int folder, const char *path, int flags, unsigned int mask, void *status);
    long readlink(const char *path, char *target, size_t size);
    int strncasecmp(const char *one, const char *other, size_t length);
]]

local C, copy, find, match, sub = ffi.C, ffi.copy, string.find, string.match, string.sub
local band, rshift = bit.band, bit.rshift
local ngx, var = ngx, ngx.var
local get_headers, get_method, now, unescape = ngx.req.get_headers, ngx.req.get_method, ngx.now, ngx.unescape_uri
local get_request, get_buffer = base.get_request, base.get_string_buf

local NO_FILE = "/-"
local MOST_VERDICTS = 10000
local MOST_NAMES, LONGEST_REMEMBERED = 8192, 512 -- of each kind; bytes of a request's address
local FOLDERS_ARE_BELIEVED_S = 1
local HMAC_KEY, BLOCK_BYTES, INNER_PAD, OUTER_PAD = "image-cloud", 64, 0x36, 0x5c

local PATHS = { ["/get_thumbnail"] = true, ["/iproxy.php"] = true, ["/get_image"] = true }
-- Parameters that mean something, both spellings of the peers' one under one name.
local KNOWN = {
    url = "url", size = "size", token = "token", signature = "signature", no_image = "no_image",
    resize_width = "width", resize_height = "height", keep_aspect_ratio = "keep", force_to_size = "force",
    enlarge = "enlarge", format_when_resize = "format", quality = "quality", resize_mode = "mode",
    gravity = "gravity", focus = "focus", trim = "trim", trim_tolerance = "tolerance", background = "background",
    max_age = "max_age", fallback = "fallback", format = "thumbnail_format",
    only_send_if_local = "local", use_alternativ_clouds = "peers", use_alternative_clouds = "peers",
}

local settings
local verdicts, verdict_count = {}, 0

local digits = ffi.new("char[16]", "0123456789abcdef")

-- Entity tags ----------------------------------------------------------------------------------

-- A tag is made of the picture's bytes (image_cloud/picture/entity_tag.py): a hash of them stands in the nanoseconds of
-- the file's time. nginx's own, of seconds and size, would be alike for other bytes of one second.
local AT_SYMLINK_NOFOLLOW, STATX_TYPE, STATX_MTIME, STATX_SIZE = 0x100, 0x1, 0x40, 0x200
local AT_FDCWD, PATH_ALONE = -100, 0x280000 -- O_PATH and O_CLOEXEC
local bytes_type = ffi.typeof("const char *")
local TYPE_BITS, REGULAR_FILE = 0xf000, 0x8000
local status = ffi.new("unsigned char[256]")
local file_mode = ffi.cast("uint16_t *", status + 0x1c)
local file_bytes = ffi.cast("uint32_t *", status + 0x28)
local modified_s, modified_ns = ffi.cast("uint32_t *", status + 0x70), ffi.cast("uint32_t *", status + 0x78)
local TAG_BYTES = 19
local tag = ffi.new("char[?]", TAG_BYTES + 1, '"........-........"')

local function write_hex(place, number)
    for shift = 28, 0, -4 do
        tag[place] = digits[band(rshift(number, shift), 15)]
        place = place + 1
    end
end

-- Return a function that gives a descriptor of a folder: a path below it has half as many folders to go through. It is
-- opened again every second, as something may be mounted there meanwhile.
local function opened(name)
    local folder, good_until = -1, 0
    return function()
        if now() >= good_until then
            if folder >= 0 then
                C.close(folder)
            end
            folder, good_until = C.open(settings[name], PATH_ALONE), now() + FOLDERS_ARE_BELIEVED_S
        end
        return folder
    end
end

local storage_folder, variants_folder = opened("storage"), opened("variants")

-- Have the answer carry the tag of the file at `path` below a folder; return `path`, nil for a link, which is no
-- picture, and whether the file is there.
local function tagged(path, folder)
    if folder < 0 then
        return nil
    end
    local relative = ffi.cast(bytes_type, path) + 1
    if C.statx(folder, relative, AT_SYMLINK_NOFOLLOW, STATX_TYPE + STATX_MTIME + STATX_SIZE, status) == 0 then
        if band(file_mode[0], TYPE_BITS) ~= REGULAR_FILE then
            return nil
        end
        -- Without nanoseconds, on an odd file system, the seconds must do.
        write_hex(1, modified_ns[0] ~= 0 and modified_ns[0] or modified_s[0])
        write_hex(10, file_bytes[0])
        ngx.header.ETag = ffi.string(tag, TAG_BYTES)
        return path, true
    end
    return path, false
end

-- Keys -----------------------------------------------------------------------------------------

local function after_pad(pad)
    local context, bytes = ffi.new("image_cloud_sha256"), {}
    for place = 1, BLOCK_BYTES do
        bytes[place] = string.char(bit.bxor(HMAC_KEY:byte(place) or 0, pad))
    end
    C.SHA256_Init(context)
    C.SHA256_Update(context, table.concat(bytes), BLOCK_BYTES)
    return context
end

local inner, outer = after_pad(INNER_PAD), after_pad(OUTER_PAD)
local context, context_bytes = ffi.new("image_cloud_sha256"), ffi.sizeof("image_cloud_sha256")
local digest, hex = ffi.new("unsigned char[32]"), ffi.new("char[64]")

local function key_of(url)
    copy(context, inner, context_bytes)
    C.SHA256_Update(context, url, #url)
    C.SHA256_Final(digest, context)
    copy(context, outer, context_bytes)
    C.SHA256_Update(context, digest, 32)
    C.SHA256_Final(digest, context)
    for place = 0, 31 do
        hex[2 * place] = digits[rshift(digest[place], 4)]
        hex[2 * place + 1] = digits[band(digest[place], 15)]
    end
    return ffi.string(hex, 64)
end

local function folder_of(url)
    local key = key_of(url)
    return "/variants/" .. sub(key, 1, 2) .. "/" .. sub(key, 3, 4) .. "/" .. key
end

-- Age ------------------------------------------------------------------------------------------

-- When the origin was last seen to have a picture is the time of an empty file (image_cloud/storage/local/checks.py).
local LONGEST_AGE_S, KEY_BYTES = 2^31 - 1, 64

-- Return the file of the picture that the path of an original or a variant belongs to.
local function checked_of(path)
    local place = match(path, "^/%a+(/%x%x/%x%x/%x+)")
    return place and settings.variants .. "/checked" .. place
end

-- Say whether nothing speaks for asking the origin first. Where no file tells, the front pool knows more.
local function is_young(checked, max_age)
    if C.statx(AT_FDCWD, checked, AT_SYMLINK_NOFOLLOW, STATX_MTIME, status) ~= 0 then
        return false
    end
    local age = now() - modified_s[0] - modified_ns[0] / 1e9
    -- Whole seconds are those of the store, all others those of a check.
    return age <= max_age or (modified_ns[0] ~= 0 and age < settings.least_age)
end

-- Have a picture queued whose origin has not been asked for long.
local function note_if_old(checked)
    if checked and not is_young(checked, settings.refresh_after) then
        old_pictures.note(sub(checked, -KEY_BYTES))
    end
end

-- Return a max_age in seconds, nil for one that is malformed or out of range.
local function age_of(text)
    local age = find(text, "^%d%d?%d?%d?%d?%d?%d?%d?%d?%d?$") and tonumber(text)
    return age and age <= LONGEST_AGE_S and age or nil
end

-- Queries --------------------------------------------------------------------------------------

-- Return the known parameters, undecoded; nil where one is given twice or a name is escaped.
local function read(args)
    local found, at, last = {}, 1, #args
    while at <= last do
        local stop = find(args, "&", at, true) or last + 1
        local equals = find(args, "=", at, true)
        if not equals or equals > stop then
            equals = stop
        end
        local raw = sub(args, at, equals - 1)
        local name = KNOWN[raw]
        if name then
            if found[name] then
                return nil
            end
            found[name] = sub(args, equals + 1, stop - 1)
        elseif find(raw, "%", 1, true) then
            return nil
        end
        at = stop + 1
    end
    return found
end

-- Return the decoded URL, nil for a broken escape. What is not UTF-8 was never stored.
local function decoded(raw)
    if find(raw, "%", 1, true) then
        if find(raw, "%%%X") or find(raw, "%%%x%X") or find(raw, "%%%x?$") then
            return nil
        end
        return unescape(raw)
    end
    return find(raw, "+", 1, true) and unescape(raw) or raw
end

-- Verdicts -------------------------------------------------------------------------------------

local TOKEN, ACCEPT = "x-image-cloud-token", "accept"
local headers_type = ffi.typeof("ngx_http_lua_ffi_table_elt_t *")
local one_header_bytes = ffi.sizeof("ngx_http_lua_ffi_table_elt_t")
local truncated = ffi.new("int[1]")

-- Say whether a header came more than once: nginx before 1.23 shows only the first. As ngx.req.get_headers() does, but
-- without a table of all headers.
local function is_repeated(header)
    local request, seen = get_request(), 0
    local count = C.ngx_http_lua_ffi_req_get_headers_count(request, 0, truncated)
    local headers = ffi.cast(headers_type, get_buffer(count * one_header_bytes))
    if C.ngx_http_lua_ffi_req_get_headers(request, headers, count, 1) ~= 0 then
        return true
    end
    for place = 0, count - 1 do
        local name = headers[place].key
        if name.len == #header and C.strncasecmp(name.data, header, #header) == 0 then
            seen = seen + 1
        end
    end
    return seen > 1
end

-- Return a request's credential in its plain form and the token in it; nil where it has none, several, or one in an
-- odd form (falcon_app/middleware.py). `parameter` is the token of its query.
local function credential_of(parameter)
    local authorization, header = var.http_authorization, var.http_x_image_cloud_token
    if authorization then
        local token = not header and not parameter and match(authorization, "^[Bb]earer ([%w_~+/.=-]+)$")
        return token and authorization, token
    end
    if header then
        local is_plain = not parameter and find(header, "^[%w_~+/.=-]+$") and not is_repeated(TOKEN)
        return is_plain and header, header
    end
    return parameter and find(parameter, "^[%w_~.-]+$") and parameter, parameter
end

-- Say whether a request has exactly one credential: nobody knows whether it is good while the front pool is away.
local function has_credential(found)
    if found.signature then
        return not (found.token or var.http_authorization or var.http_x_image_cloud_token)
    end
    return credential_of(found.token) and true or false
end

-- Return whose the request's one credential is, if the front pool let it read a moment ago. Only plain ones have a
-- verdict; the blank in an Authorization header keeps them apart from tokens.
local function reader(parameter)
    local authorization, header = var.http_authorization, var.http_x_image_cloud_token
    local verdict = verdicts[authorization or header or parameter]
    if not verdict or now() >= verdict.good_until then
        return nil
    end
    local is_the_only_one
    if authorization then
        is_the_only_one = not header and not parameter
    else
        is_the_only_one = not header or (not parameter and not is_repeated(TOKEN))
    end
    return is_the_only_one and verdict.client or nil
end

-- Return the known parameters as the client sent them, nil where that is not plain: `$args` and the location
-- come after nginx has resolved `..`, `%67` and `#`.
local function plain(request_uri)
    local mark = find(request_uri, "?", 1, true)
    -- gunicorn refuses raw bytes beyond printable ASCII, wherever they stand.
    if not mark or not PATHS[sub(request_uri, 1, mark - 1)] or find(request_uri, "[^!\"$-~]") then
        return nil
    end
    return read(sub(request_uri, mark + 1))
end

-- Names ---------------------------------------------------------------------------------------

-- Return a name as a file below the storage: its path, and its Content-Type where that is another than the location's.
local function file_of(folder, name)
    local extension = match(name, "%.(%l+)$")
    return { path = folder .. "/" .. name, type = extension ~= "jpg" and settings.types[extension] or nil }
end

-- Return the files with these names: a list for each extension.
local function files_of(folder, names_by_extension)
    local files = {}
    for extension, names in pairs(names_by_extension) do
        files[extension] = {}
        for place, name in ipairs(names) do
            files[extension][place] = file_of(folder, name)
        end
    end
    return files
end

-- Return what a request's address asks for: a variant's file (nothing where nginx may not answer by itself), or several
-- where Accept decides, and the token in the query. Nothing at all where the address is not plain.
local function read_name(request_uri, name_of)
    local found = plain(request_uri)
    if not found then
        return nil
    end
    local name = name_of(found)
    local is_auto = type(name) == "table"
    local url = found.url and not found.signature and decoded(found.url)
    local max_age = found.max_age and age_of(found.max_age)
    local is_good = (max_age or not found.max_age) and (not found.fallback or variant_name.is_flag(found.fallback))
    local folder = name and url and is_good and folder_of(url)
    local file = folder and file_of(folder, is_auto and name.jpg[1] or name)
    local path = file and file.path
    return {
        file = file, path = path, is_auto = is_auto, by_extension = file and is_auto and files_of(folder, name),
        token = found.token, plain_until = 0, max_age = max_age,
        checked = path and (max_age or settings.refresh_after) and checked_of(path), domain = var.image_cloud_domain,
    }
end

local function is_there(path)
    return C.access(settings.variants .. path, 0) == 0
end

local function is_stored(path)
    return C.access(settings.storage .. path, 0) == 0
end

-- Say whether the variants are still those of the originals, which other nodes may change: whether the lease holds
-- (image_cloud/storage/local/lease.py). The file is looked at ten times a second.
local LOOK_EVERY_S = 0.1
local lease_until, next_look = 0, 0
local function are_believed()
    if not settings.lease then
        return true
    end
    local at = now()
    if at >= next_look then
        next_look = at + LOOK_EVERY_S
        local is_here = C.statx(AT_FDCWD, settings.lease, AT_SYMLINK_NOFOLLOW, STATX_MTIME, status) == 0
        local seen_at = is_here and modified_s[0] + modified_ns[0] / 1e9 or 0
        -- The clock may have been set back.
        lease_until = seen_at <= at + 1 and seen_at + settings.lease_s or 0
    end
    return at < lease_until
end

-- Say whether a folder on the way to a variant is a link.
local link_target = ffi.new("char[1]")
local function leads_through_a_link(path)
    for _, length in ipairs({ 9, 12, 15, #match(path, ".+/") - 1 }) do -- /variants, /ab, /cd, /KEY
        if C.readlink(settings.variants .. sub(path, 1, length), link_target, 1) >= 0 then
            return true
        end
    end
    return false
end

-- Return the file that the request's Accept decides on, the first that is there.
local function file_by_accept(by_extension)
    local header = var.http_accept
    if header and is_repeated(ACCEPT) then
        return nil
    end
    local files = by_extension[accept.extension_for(header)]
    for _, file in ipairs(files) do
        if is_there(file.path) then
            return file
        end
    end
    return files[1]
end

-- Return the path of a file, and have the answer carry its tag, its type and what it depends on (`vary`).
local function path_of_file(file, vary)
    local path, is_here = tagged(file.path, variants_folder())
    if is_here then
        if file.type then
            ngx.header["Content-Type"] = file.type
        end
        if vary then
            ngx.header.Vary = vary
        end
    end
    return path
end

local function path_of(name)
    if not name.path or not are_believed() then
        return NO_FILE
    end
    if now() >= name.plain_until then
        if leads_through_a_link(name.path) then
            return NO_FILE
        end
        name.plain_until = now() + FOLDERS_ARE_BELIEVED_S
    end
    if name.max_age and not is_young(name.checked, name.max_age) then
        return NO_FILE
    end
    if settings.refresh_after then
        note_if_old(name.checked)
    end
    if not name.by_extension then
        return path_of_file(name.file, settings.vary) or NO_FILE
    end
    local file = file_by_accept(name.by_extension)
    return file and path_of_file(file, settings.vary_by_accept) or NO_FILE
end

-- Return a function that names the file for the request at hand. Reading an address costs more than all else here, and
-- popular pictures are asked for again and again: each worker remembers what good clients asked for last.
local function named(name_of)
    local known = generations.new(MOST_NAMES)
    return function()
        local method, request_uri = get_method(), var.request_uri
        local name = known.get(request_uri) or read_name(request_uri, name_of)
        if name and name.is_auto then
            var.image_cloud_by_accept = "1"
        end
        local client = name and (method == "GET" or method == "HEAD") and reader(name.token)
        if not client then
            return NO_FILE
        end
        var.image_cloud_token_client = client
        var.image_cloud_domain = name.domain -- for the log, which would look for it in the address once more
        if #request_uri <= LONGEST_REMEMBERED then
            known.put(request_uri, name)
        end
        return path_of(name)
    end
end

-- Misses ---------------------------------------------------------------------------------------

-- Say whether nothing speaks against a picture: no failure, no delete.
local function is_free(key)
    local place = "/" .. sub(key, 1, 2) .. "/" .. sub(key, 3, 4) .. "/"
    return not is_there("/failures" .. place .. key .. ".fetch.json")
        and not is_stored("/tombstones" .. place .. key .. ".json")
end

-- Say whether a key's original is on disk. Of those that were fetched with credentials nothing is known here: the
-- fetch pool finds them.
local function has_original(key)
    local place = "/originals/" .. sub(key, 1, 2) .. "/" .. sub(key, 3, 4) .. "/"
    if is_stored(place) then
        for _, extension in ipairs(settings.extensions) do
            if is_stored(place .. key .. "." .. extension) then
                return true
            end
        end
    end
    return false
end

-- What nginx calls -----------------------------------------------------------------------------

local M = {}

-- Take the node's settings (image_cloud/node_files/nginx_node.py).
function M.configure(given)
    settings = given
    variant_name.configure(given)
    accept.configure(given)
    fallback.configure(given)
end

-- Return the path of the wanted thumbnail below the storage.
M.thumbnail = named(variant_name.of_thumbnail)

-- Return the path of the wanted resized picture below the storage.
M.image = named(variant_name.of)

-- Have the answer carry the tag of the file that an internal address names: /_files/originals/...
function M.tag()
    local path = match(var.uri, "^/_%w+(/.+)$")
    if path then
        if settings.refresh_after then
            note_if_old(checked_of(path))
        end
        tagged(path, find(path, "^/originals/") and storage_folder() or variants_folder())
    end
end

-- Send the variant of an original that was fetched with credentials; it lies beside the public ones.
function M.private()
    local folder, name = match(var.image_cloud_file, "^(/variants/%x%x/%x%x/%x+)(/[^/]+)$")
    local path = folder and folder .. ".private" .. name
    local jpeg = path and variant_name.jpeg_instead(path)
    path = path and are_believed() and (is_there(path) and path or jpeg and is_there(jpeg) and jpeg)
    if path then
        var.image_cloud_file = path
        ngx.exec("/_private" .. path)
    end
end

-- Send a miss straight to the fetch pool where all that the front pool would find out is known: the token reads, the
-- parameters are good, and the variant is not on disk. JPEGs alone: what else can be written depends on the build of
-- PIL.
function M.skip_front()
    if settings.is_shared then -- and so away, perhaps: a look at it might never end
        return
    end
    local key, name = match(var.image_cloud_file, "([0-9a-f]+)/([^/]+%.jpg)$")
    local found = key and not find(name, "-auto", 1, true) and plain(var.request_uri)
    local is_usual = found and not (found["local"] or found.peers or found.fallback or found.max_age)
    if is_usual and is_free(key) then
        ngx.exec(has_original(key) and "/_variant" or "/_fetch", "url=" .. found.url .. "&variant=" .. name)
    end
end

-- Return `cache_control` for what may be cached for `left_s` seconds at most.
local function within(cache_control, left_s)
    local kept, has_age = {}, false
    for directive in cache_control:gmatch("[^,%s][^,]*") do
        local name, seconds = match(directive, "^([%w-]+)=(%d+)")
        name = (name or directive):lower()
        if name == "max-age" or name == "s-maxage" then
            has_age = has_age or name == "max-age"
            kept[#kept + 1] = name .. "=" .. math.min(tonumber(seconds), left_s)
        elseif not find(name, "^stale%-") and not find(name, "^immutable") then
            kept[#kept + 1] = match(directive, "^(.-)%s*$")
        end
    end
    if not has_age then
        kept[#kept + 1] = "max-age=" .. left_s
    end
    return table.concat(kept, ", ")
end

-- Keep the picture that a signed URL opened from being cached for longer than the URL is good.
function M.bound()
    local expires = tonumber(match(var.image_cloud_expires or "", "%d+"))
    if not expires or ngx.status >= 400 then
        return
    end
    local cache_control = ngx.header["Cache-Control"] or var.image_cloud_file_cache_control
    if not find(cache_control, "no-store", 1, true) then
        ngx.header["Cache-Control"] = within(cache_control, math.max(0, expires - ngx.time()))
    end
end

-- Return the path of what is sent below the storage, where a pool is full or away and the client wants another picture
-- then; "" where it gets the problem.
function M.fallback()
    local method = var.image_cloud_method
    if ngx.status ~= 503 or var.image_cloud_fallback_file ~= "" or (method ~= "GET" and method ~= "HEAD") then
        return ""
    end
    local found = plain(var.request_uri)
    local is_good = found and found.url and find(decoded(found.url) or "", "^[hH][tT][tT][pP][sS]?://.")
        and (not found.max_age or age_of(found.max_age)) and has_credential(found)
    return is_good and fallback.path_for(match(var.request_uri, "^[^?]+"), found, is_there) or ""
end

-- Return all that came in the header X-Image-Cloud-Token, joined with commas, for the front pool to judge.
function M.tokens()
    local value = var.http_x_image_cloud_token and get_headers(0)["x-image-cloud-token"]
    return type(value) == "table" and table.concat(value, ",") or value
end

-- Return all that came in the header Accept, for the front pool; nil where it counts as none.
function M.accept()
    local value = var.http_accept and get_headers(0)[ACCEPT]
    return accept.checked(type(value) == "table" and table.concat(value, ",") or value)
end

-- Return by what a client's requests are counted: a hash of its token, "" unless the front pool lately let it read.
function M.client()
    local found = plain(var.request_uri) or {}
    local client = reader(found.token)
    if not client then
        return ""
    end
    var.image_cloud_token_client = client
    local _, token = credential_of(found.token)
    return ngx.md5(token)
end

-- The front pool has just let this request's token read: believe it for a while.
function M.learn()
    if var.upstream_http_x_image_cloud_verdict ~= "read" then
        return
    end
    local found = plain(var.request_uri)
    if not found or found.signature then
        return
    end
    if verdict_count >= MOST_VERDICTS then
        verdicts, verdict_count = {}, 0
    end
    local credential = credential_of(found.token)
    if credential then
        verdict_count = verdict_count + (verdicts[credential] and 0 or 1)
        local client = var.upstream_http_x_image_cloud_token_client or ""
        verdicts[credential] = { good_until = now() + settings.verdict_s, client = client }
    end
end

return M
