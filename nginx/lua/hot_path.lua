-- The hot path: which file answers a request, computed as Python does (image_cloud/request/query.py, params.py,
-- recipe.py, keys.py), and whether the front pool let the same token read a moment ago.
--
-- Whatever Python could read in another way, or refuse, is NO_FILE here, and the front pool answers:
-- a wrong picture is worse than a slow one. tests/nginx/test_hot_path.py holds nginx to it.

local bit = require "bit"
local ffi = require "ffi"

-- OpenSSL 3 looks its algorithms up by name for every HMAC(), which costs as much as all else here.
ffi.cdef [[
    typedef struct { unsigned int state[28]; } image_cloud_sha256;
    int SHA256_Init(image_cloud_sha256 *context);
    int SHA256_Update(image_cloud_sha256 *context, const void *data, size_t length);
    int SHA256_Final(unsigned char *digest, image_cloud_sha256 *context);
    int access(const char *path, int mode);
    int statx(int folder, const char *path, int flags, unsigned int mask, void *status);
]]

local C, copy, find, match, sub = ffi.C, ffi.copy, string.find, string.match, string.sub
local band, rshift = bit.band, bit.rshift
local ngx, var = ngx, ngx.var
local get_headers, get_method, now, unescape = ngx.req.get_headers, ngx.req.get_method, ngx.now, ngx.unescape_uri

local NO_FILE = "/-"
local MOST_VERDICTS = 10000
local HMAC_KEY, BLOCK_BYTES, INNER_PAD, OUTER_PAD = "image-cloud", 64, 0x36, 0x5c

local PATHS = { ["/get_thumbnail"] = true, ["/iproxy.php"] = true, ["/get_image"] = true }
-- Parameters that mean something, both spellings of the peers' one under one name.
local KNOWN = {
    url = "url", size = "size", token = "token", signature = "signature", no_image = "no_image",
    resize_width = "width", resize_height = "height", keep_aspect_ratio = "keep", force_to_size = "force",
    enlarge = "enlarge", format_when_resize = "format", quality = "quality",
    only_send_if_local = "local", use_alternativ_clouds = "peers", use_alternative_clouds = "peers",
}
-- Only the usual spellings: others are as good, and the front pool's business.
local BOOLEANS = { ["true"] = true, ["1"] = true, ["false"] = false, ["0"] = false }
local EXTENSIONS = {
    jpeg = "jpg", jpg = "jpg", png = "png", webp = "webp", gif = "gif", bmp = "bmp", tiff = "tiff", tif = "tiff",
    avif = "avif",
}

local settings
local storage_bytes
local verdicts, verdict_count = {}, 0

local digits = ffi.new("char[16]", "0123456789abcdef")

-- Entity tags ----------------------------------------------------------------------------------

-- A tag is made of the picture's bytes (image_cloud/picture/entity_tag.py): a hash of them stands in the nanoseconds of
-- the file's time. nginx's own, of seconds and size, would be alike for other bytes of one second.
local AT_FDCWD, STATX_MTIME, STATX_SIZE = -100, 0x40, 0x200
local status, full_path = ffi.new("unsigned char[256]"), ffi.new("char[4096]")
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

-- Have the answer carry the tag of the file at `path` below the storage, if it is there; return `path`.
local function tagged(path)
    if storage_bytes + #path >= ffi.sizeof(full_path) then
        return path
    end
    copy(full_path + storage_bytes, path)
    if C.statx(AT_FDCWD, full_path, 0, STATX_MTIME + STATX_SIZE, status) == 0 then
        -- Without nanoseconds, on an odd file system, the seconds must do.
        write_hex(1, modified_ns[0] ~= 0 and modified_ns[0] or modified_s[0])
        write_hex(10, file_bytes[0])
        ngx.header.ETag = ffi.string(tag, TAG_BYTES)
    end
    return path
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

local function path_of(url, name)
    local key = key_of(url)
    return "/variants/" .. sub(key, 1, 2) .. "/" .. sub(key, 3, 4) .. "/" .. key .. "/" .. name
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

-- Say whether the header X-Image-Cloud-Token came more than once.
local function is_repeated()
    local value = get_headers(0)["x-image-cloud-token"]
    return type(value) == "table"
end

-- Return a request's token; nil where it has none, several, or one in an odd form (falcon_app/middleware.py).
local function token_of(found)
    local authorization, header, parameter = var.http_authorization, var.http_x_image_cloud_token, found.token
    if authorization then
        return not header and not parameter and match(authorization, "^[Bb]earer ([%w_~+/.=-]+)$") or nil
    end
    if header then
        -- nginx before 1.23 shows only the first of several headers of this name.
        return not parameter and find(header, "^[%w_~+/.=-]+$") and not is_repeated() and header or nil
    end
    return parameter and find(parameter, "^[%w_~.-]+$") and parameter or nil
end

local function may_read(found)
    local token = token_of(found)
    local good_until = token and verdicts[token]
    return good_until and now() < good_until
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

-- Return the parameters and the URL where nginx may answer by itself, else nothing.
local function asked()
    local method = get_method()
    local found = (method == "GET" or method == "HEAD") and plain(var.request_uri)
    if not found or not found.url or found.signature or not may_read(found) then
        return nil
    end
    return found, decoded(found.url)
end

-- Variants -------------------------------------------------------------------------------------

local function whole(text, most)
    return find(text, "^[1-9]%d*$") and #text <= 5 and tonumber(text) <= most
end

local function boolean(text, default)
    if text == nil then
        return default
    end
    return BOOLEANS[text]
end

-- Return the name of what the parameters ask for, nil where it is not plain, no picture is wanted, or one of
-- another extension than `only` (if given).
local function variant(found, only)
    local width, height, quality = found.width, found.height, found.quality or settings.quality
    if not (width or height) or not whole(width or "1", settings.max_side)
        or not whole(height or "1", settings.max_side) or not whole(quality, 100)
    then
        return nil
    end
    local keep, force = boolean(found.keep, true), boolean(found.force, false)
    local enlarge, extension = boolean(found.enlarge, false), settings.extension
    if found.format then
        extension = EXTENSIONS[found.format]
    end
    if keep == nil or force == nil or enlarge == nil or not extension
        or extension ~= (only or extension) or (force and not (width and height)) or boolean(found.no_image, false) ~= false
        -- A stored variant is the answer whatever these say; they must only be well-formed.
        or boolean(found["local"], false) == nil or boolean(found.peers, false) == nil
    then
        return nil
    end
    local mode = not keep and "stretch" or force and "pad" or "fit"
    local up = enlarge and keep and "-up" or ""
    return (width or "0") .. "x" .. (height or "0") .. "-" .. mode .. up .. "-q" .. quality .. "." .. extension
end

-- Misses ---------------------------------------------------------------------------------------

local function is_there(path)
    return C.access(settings.storage .. path, 0) == 0
end

-- Say whether nothing speaks against a picture: no failure, no delete.
local function is_free(key)
    local place = "/" .. sub(key, 1, 2) .. "/" .. sub(key, 3, 4) .. "/"
    return not is_there("/failures" .. place .. key .. ".fetch.json")
        and not is_there("/tombstones" .. place .. key .. ".json")
end

-- Say whether a key's original is on disk. Of those that were fetched with credentials nothing is known here: the
-- fetch pool finds them.
local function has_original(key)
    local place = "/originals/" .. sub(key, 1, 2) .. "/" .. sub(key, 3, 4) .. "/"
    if is_there(place) then
        for _, extension in ipairs(settings.extensions) do
            if is_there(place .. key .. "." .. extension) then
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
    storage_bytes = #given.storage
    copy(full_path, given.storage)
end

-- Return the path of the wanted thumbnail below the storage.
function M.thumbnail()
    local found, url = asked()
    local name = url and settings.thumbnails[found.size or settings.thumbnail_size]
    return name and tagged(path_of(url, name)) or NO_FILE
end

-- Return the path of the wanted resized picture below the storage; only one of `extension`, if given.
function M.image(extension)
    local found, url = asked()
    local name = url and variant(found, extension)
    return name and tagged(path_of(url, name)) or NO_FILE
end

-- Have the answer carry the tag of the file that an internal address names: /_files/originals/...
function M.tag()
    local path = match(var.uri, "^/_%w+(/.+)$")
    if path then
        tagged(path)
    end
end

-- Send the variant of an original that was fetched with credentials; it lies beside the public ones.
function M.private()
    local folder, name = match(var.image_cloud_file, "^(/variants/%x%x/%x%x/%x+)(/[^/]+)$")
    local path = folder and folder .. ".private" .. name
    if path and is_there(path) then
        var.image_cloud_file = path
        ngx.exec("/_private" .. path)
    end
end

-- Send a miss straight to the fetch pool where all that the front pool would find out is known: the token reads, the
-- parameters are good, and the variant is not on disk. JPEGs alone: what else can be written depends on the build of
-- PIL.
function M.skip_front()
    local key, name = match(var.image_cloud_file, "([0-9a-f]+)/([^/]+%.jpg)$")
    local found = key and plain(var.request_uri)
    if found and not found["local"] and not found.peers and is_free(key) then
        ngx.exec(has_original(key) and "/_variant" or "/_fetch", "url=" .. found.url .. "&variant=" .. name)
    end
end

-- Return all that came in the header X-Image-Cloud-Token, joined with commas, for the front pool to judge.
function M.tokens()
    local value = var.http_x_image_cloud_token and get_headers(0)["x-image-cloud-token"]
    return type(value) == "table" and table.concat(value, ",") or value
end

-- Return by what a client's requests are counted: a hash of its token, "" unless the front pool lately let it read.
function M.client()
    local found = plain(var.request_uri) or {}
    return may_read(found) and ngx.md5(token_of(found)) or ""
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
    local token = token_of(found)
    if token then
        verdict_count = verdict_count + (verdicts[token] and 0 or 1)
        verdicts[token] = now() + settings.verdict_s
    end
end

return M
