-- The picture that nginx itself sends in place of one that cannot be had (`fallback=true`), where a pool is full or
-- away: /_problem asks for it (nginx/snippets/problems.conf). The fetch pool leaves its files
-- (image_cloud/fetch/fallback_files.py).

local variant_name = require "variant_name"

local FOLDER, AS_IT_IS = "/fallback/", "picture."
local CACHE_CONTROL = "max-age=60"
-- What an answer may have by now that is no longer true.
local STALE = {
    "Accept-Ranges", "Access-Control-Allow-Origin", "Access-Control-Expose-Headers", "Cache-Control", "ETag",
    "Timing-Allow-Origin", "Vary", "X-Content-Type-Options", "X-Request-Id",
}

local settings

-- Return the name that the wanted picture would have; "" where it is the original, or Accept decides; nil where the
-- parameters are not well-formed: no picture hides that.
local function name_for(path, found)
    local name
    if path == "/get_image" then
        name = variant_name.of(found) or (variant_name.is_original(found) and "")
    else
        name = variant_name.of_thumbnail(found)
    end
    return type(name) == "table" and "" or name
end

local M = {}

-- Take the node's settings (image_cloud/node_files/nginx_node.py).
function M.configure(given)
    settings = given
end

-- Return the path below the storage of what is sent in place of the picture that a request's plain parameters ask for;
-- nil where the client does not want it, or there is none. `is_there` looks at the disk.
function M.path_for(path, found, is_there)
    local name = variant_name.is_set(found.fallback) and not variant_name.is_set(found.no_image)
        and name_for(path, found)
    if not name then
        return nil
    end
    if name ~= "" and is_there(FOLDER .. name) then
        return FOLDER .. name
    end
    for _, extension in ipairs(settings.extensions) do
        if is_there(FOLDER .. AS_IT_IS .. extension) then
            return FOLDER .. AS_IT_IS .. extension
        end
    end
    return nil
end

-- Remove what belongs to the answer that did not come.
function M.clear()
    for _, name in ipairs(STALE) do
        ngx.header[name] = nil
    end
end

-- Give the picture its status and headers. Nobody has checked the signature of a signed URL, nor when it expires.
function M.describe()
    if ngx.status ~= 503 then
        return
    end
    local extension = string.match(ngx.var.image_cloud_fallback_file, "%.(%l+)$")
    local is_signed = string.find(ngx.var.request_uri, "[?&]signature=")
    M.clear()
    ngx.header["Last-Modified"] = nil
    ngx.header["Content-Type"] = settings.types[extension]
    ngx.header["Cache-Control"] = is_signed and "no-store" or CACHE_CONTROL
    ngx.status = settings.fallback_status
end

return M
