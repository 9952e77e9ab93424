-- The file name of the variant that a request's parameters ask for, as Python computes it
-- (image_cloud/request/recipe_params.py, image_cloud/picture/variant.py).
--
-- Whatever is odd or refused has no name here: the front pool answers (hot_path.lua).

local find, lower, match = string.find, string.lower, string.match

local WHITE, TOLERANCE = "ffffff", "10"
-- Only the usual spellings: others are as good, and the front pool's business.
local BOOLEANS = { ["true"] = true, ["1"] = true, ["false"] = false, ["0"] = false }
local EXTENSIONS = {
    jpeg = "jpg", jpg = "jpg", png = "png", webp = "webp", gif = "gif", bmp = "bmp", tiff = "tiff", tif = "tiff",
    avif = "avif",
}
-- The end of a JPEG's name where it is kept in place of such a file, because it is the smaller one.
local JPEG_INSTEAD = { webp = "-auto.jpg", avif = "-auto-avif.jpg" }
local THUMBNAIL_FORMATS = { jpeg = "jpg", jpg = "jpg", webp = "webp", auto = "auto" }
local OPAQUE = { jpg = true, bmp = true }
local MODES = { fit = true, stretch = true, pad = true, crop = true }
local GRAVITIES = {
    center = "", north = "-at500x0", northeast = "-at1000x0", east = "-at1000x500", southeast = "-at1000x1000",
    south = "-at500x1000", southwest = "-at0x1000", west = "-at0x500", northwest = "-at0x0",
}

local settings

local function whole(text, most)
    return find(text, "^[1-9]%d*$") and #text <= 5 and tonumber(text) <= most
end

local function boolean(text, default)
    if text == nil then
        return default
    end
    return BOOLEANS[text]
end

-- Return the mode, as one word or by the two older parameters; nil where they contradict it, or a side is lacking.
local function mode_of(found, has_both)
    local keep, force, mode = boolean(found.keep, true), boolean(found.force, false), found.mode
    if keep == nil or force == nil or (force and not has_both) then
        return nil
    end
    if not mode then
        return not keep and "stretch" or force and "pad" or "fit"
    end
    local needs_both = mode == "pad" or mode == "crop"
    local contradicts = (found.keep and keep == (mode == "stretch")) or (force and mode ~= "pad")
    return MODES[mode] and (has_both or not needs_both) and not contradicts and mode
end

-- Return a share from 0 to 1 in thousandths.
local function thousandths(share)
    if share == "0" or share == "1" then
        return share == "0" and "0" or "1000"
    end
    local decimals = match(share, "^0%.(%d%d?%d?)$")
    return decimals and tostring(tonumber(decimals .. ("0"):rep(3 - #decimals)))
end

-- Return how a name tells what is kept of the picture.
local function place_of(found, mode)
    local gravity, focus, place = found.gravity, found.focus, ""
    if gravity then
        place = not focus and GRAVITIES[gravity]
    elseif focus then
        local across, down = match(focus, "^([%d.]+),([%d.]+)$")
        if not across then
            across, down = match(focus, "^([%d.]+)%%2[Cc]([%d.]+)$")
        end
        local x, y = across and thousandths(across), down and thousandths(down)
        place = x and y and (x == "500" and y == "500" and "" or "-at" .. x .. "x" .. y)
    end
    return place and (mode == "crop" and place or "")
end

-- Return how a name tells of a border that is cut off.
local function trim_of(found)
    local trim, tolerance = boolean(found.trim, false), found.tolerance or TOLERANCE
    if trim == nil or not (tolerance == "0" or whole(tolerance, 255)) then
        return nil
    end
    return trim and "-trim" .. tolerance or ""
end

-- Return how a name tells of the colour of the canvas and under transparency.
local function background_of(found, mode, extension)
    local colour = found.background or WHITE
    if not find(colour, "^%x%x%x%x%x%x$") then
        return nil
    end
    colour = lower(colour)
    return colour ~= WHITE and (mode == "pad" or OPAQUE[extension]) and "-bg" .. colour or ""
end

-- Say whether a stored variant is the answer whatever the other parameters say, as long as they are well-formed.
local function is_plain(found)
    return boolean(found.no_image, false) == false and boolean(found["local"], false) ~= nil
        and boolean(found.peers, false) ~= nil
end

-- Return the names that may answer, by the extension of the format that Accept decides on, the best first;
-- `base_of` gives what stands before extensions.
local function names_of_auto(base_of)
    local names = { jpg = { base_of("jpg") .. ".jpg" } }
    for _, extension in ipairs(settings.auto_formats) do
        if JPEG_INSTEAD[extension] then
            local base = base_of(extension)
            names[extension] = { base .. "-auto." .. extension, base .. JPEG_INSTEAD[extension] }
        end
    end
    return names
end

local M = {}

-- Take the node's settings (image_cloud/node_files/nginx_node.py).
function M.configure(given)
    settings = given
end

-- Say whether a parameter is a boolean that is set.
function M.is_set(text)
    return text and BOOLEANS[lower(text)] == true
end

-- Say whether the parameters, none of which asks for a size, are well-formed.
function M.is_original(found)
    local has_size = found.width or found.height or boolean(found.trim, false) ~= false
    return not has_size and M.of(setmetatable({ width = "1" }, { __index = found })) ~= nil
end

-- Say whether a text is a boolean in its usual spelling.
function M.is_flag(text)
    return BOOLEANS[text] ~= nil
end

-- Return the path of the JPEG that may be kept in place of a file, nil where there is no such thing.
function M.jpeg_instead(path)
    local base, extension = match(path, "^(.+)%-auto%.(%l+)$")
    return base and JPEG_INSTEAD[extension] and base .. JPEG_INSTEAD[extension]
end

-- Return the name of a thumbnail, or the names where Accept decides on its format (names_of_auto).
function M.of_thumbnail(found)
    local base = settings.thumbnails[found.size or settings.thumbnail_size]
    local extension = THUMBNAIL_FORMATS[found.thumbnail_format or settings.thumbnail_format]
    if not base or extension ~= "auto" then
        return base and extension and base .. "." .. extension
    end
    return names_of_auto(function() return base end)
end

-- Return all of a name that stands before the quality, nil where it is not plain, or no picture is wanted.
local function beginning_of(found, extension)
    local width, height = found.width, found.height
    if not whole(width or "1", settings.max_side) or not whole(height or "1", settings.max_side)
        or not is_plain(found)
    then
        return nil
    end
    local enlarge = boolean(found.enlarge, false)
    local mode = mode_of(found, width and height)
    local place, trim = place_of(found, mode), trim_of(found)
    local background = mode and background_of(found, mode, extension)
    if enlarge == nil or not (place and trim and background)
        or not (width or height or trim ~= "")
    then
        return nil
    end
    if not (width or height) then
        mode = "fit"
        enlarge = false
    end
    local up = enlarge and (mode == "fit" or mode == "pad") and "-up" or ""
    return (width or "0") .. "x" .. (height or "0") .. "-" .. mode .. up .. place .. trim .. background
end

-- Return the name of what the parameters ask for, or the names where Accept decides on the format (names_of_auto).
function M.of(found)
    local quality, format = found.quality or settings.quality, found.format or settings.format
    if not whole(quality, 100) then
        return nil
    end
    local function base_of(extension)
        local beginning = beginning_of(found, extension)
        return beginning and beginning .. "-q" .. quality
    end
    if format == "auto" then
        return base_of("jpg") and names_of_auto(base_of)
    end
    local extension = EXTENSIONS[format]
    local base = extension and base_of(extension)
    return base and base .. "." .. extension
end

return M
