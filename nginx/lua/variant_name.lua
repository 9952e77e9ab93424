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

-- Return the extension of the asked format.
local function extension_of(found)
    if found.format then
        return EXTENSIONS[found.format]
    end
    return settings.extension
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

local M = {}

-- Take the node's settings (image_cloud/node_files/nginx_node.py).
function M.configure(given)
    settings = given
end

-- Say whether a text is a boolean in its usual spelling.
function M.is_flag(text)
    return BOOLEANS[text] ~= nil
end

-- Return the name of what the parameters ask for, nil where it is not plain, no picture is wanted, or one of
-- another extension than `only` (if given).
function M.of(found, only)
    local width, height, quality = found.width, found.height, found.quality or settings.quality
    if not whole(width or "1", settings.max_side) or not whole(height or "1", settings.max_side)
        or not whole(quality, 100) or not is_plain(found)
    then
        return nil
    end
    local extension, enlarge = extension_of(found), boolean(found.enlarge, false)
    local mode = mode_of(found, width and height)
    local place, trim = place_of(found, mode), trim_of(found)
    local background = mode and background_of(found, mode, extension)
    if not extension or extension ~= (only or extension) or enlarge == nil or not (place and trim and background)
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
        .. "-q" .. quality .. "." .. extension
end

return M
