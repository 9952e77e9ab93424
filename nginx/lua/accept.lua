-- The format that a request's Accept decides on, as Python reads it (image_cloud/request/accept.py).

local generations = require "generations"

local find, gmatch, gsub, lower, match = string.find, string.gmatch, string.gsub, string.lower, string.match

local ALWAYS = "jpg" -- what every client shows, whatever it accepts
local MOST_CHARACTERS = 4096
local MOST_HEADERS, LONGEST_REMEMBERED = 512, 512 -- browsers send but a few

local known = generations.new(MOST_HEADERS)
local settings

-- Say whether the first weight among a media type's parameters is above 0; none is 1, and a malformed one 0.
local function is_wanted(parameters)
    for parameter in gmatch(parameters, "[^;]+") do
        local name, weight = match(parameter, "^[ \t]*([^=]-)[ \t]*=[ \t]*(.-)[ \t]*$")
        if lower(name or match(parameter, "^[ \t]*(.-)[ \t]*$")) == "q" then
            return weight ~= nil and find(weight, "^%d*%.?%d*$") and find(weight, "[1-9]") and true or false
        end
    end
    return true
end

-- Return the media types that are named with a weight above 0.
local function named(header)
    local found = {}
    local plain = gsub(gsub(header, "\\.", "_"), '"[^"]*"?', "_")
    for part in gmatch(plain, "[^,]+") do
        local kind, parameters = match(part, "^[ \t]*([^;]-)[ \t]*(;.*)$")
        kind = kind or match(part, "^[ \t]*(.-)[ \t]*$")
        if is_wanted(parameters or "") then
            found[lower(kind)] = true
        end
    end
    return found
end

local function decided(header)
    local found = named(header)
    for _, extension in ipairs(settings.auto_formats) do
        if found[settings.types[extension]] then
            return extension
        end
    end
    return ALWAYS
end

local M = {}

-- Take the node's settings (image_cloud/node_files/nginx_node.py).
function M.configure(given)
    settings = given
end

-- Return the header if it may be read at all, nil for one that counts as none.
function M.checked(header)
    return header and #header <= MOST_CHARACTERS and not find(header, "[^\t -~]") and header or nil
end

-- Return the extension of the first of the formats that the header names with a weight above 0, else JPEG's.
function M.extension_for(header)
    header = header or ""
    local extension = known.get(header)
    if not extension then
        extension = decided(M.checked(header) or "")
        if #header <= LONGEST_REMEMBERED then
            known.put(header, extension)
        end
    end
    return extension
end

return M
